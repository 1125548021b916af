import { readFile } from 'node:fs/promises'
import type { Registry } from 'prom-client'
import { startIdentity, trustDomainOf } from '../identity/agent.ts'
import { requestReceiptSignature } from '../identity/request-certificate.ts'
import { authorityUri } from '../identity/spiffe.ts'
import { createClient } from '../kube/client.ts'
import { clusterFromPod } from '../kube/in-cluster.ts'
import { messageOf } from '../process/errors.ts'
import type { Logger } from '../process/log.ts'
import { openBooks } from './open-books.ts'
import { serveLedger } from './serve-ledger.ts'
import type { LedgerSettings } from './settings.ts'

/** Starts the ledger of a pod: its books, its certificate, its view of the API server, then gateways. */
export async function startLedger(
  settings: LedgerSettings,
  deps: { log: Logger; registry: Registry; signal: AbortSignal },
): Promise<{ close(): Promise<void> }> {
  const { log, registry, signal } = deps
  const store = await openBooks(settings.books)
  store.lost.catch((error: unknown) => {
    log.fatal({ error: messageOf(error) }, 'the books cannot be written any more; the ledger ends')
    process.exitCode = 1
    setTimeout(() => process.exit(1), 200)
  })
  const caPem = 'pem' in settings.ca ? settings.ca.pem : await readFile(settings.ca.file, 'utf8')
  const { caUrl, caTokenFile: tokenFile, stateDir } = settings
  const stopping = new AbortController()
  const starting = AbortSignal.any([signal, stopping.signal])
  const identity = await startIdentity({ caUrl, caPem, tokenFile, stateDir, log, signal: starting })
  const client = createClient({ cluster: await clusterFromPod(settings.apiServer), userAgent: 'hansa-ledger' })
  const authority = authorityUri(trustDomainOf(caPem))
  const ledger = await serveLedger(settings, {
    ...{ identity, client, store, log, registry },
    sign: (identityName, body, stop) =>
      requestReceiptSignature({ caUrl, caPem, authority, tokenFile, identityName, body, signal: stop }),
  })
  return {
    close: async () => {
      await ledger.close()
      stopping.abort()
      await Promise.all([identity.close(), client.close()])
      await store.close()
    },
  }
}
