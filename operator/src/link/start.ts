import { readFile } from 'node:fs/promises'
import type { Registry } from 'prom-client'
import { startOwnerCredentials } from '../federation/owner-credentials.ts'
import { createClient } from '../kube/client.ts'
import { clusterFromPod } from '../kube/in-cluster.ts'
import type { Logger } from '../process/log.ts'
import { serveLink } from './serve-link.ts'
import type { LinkSettings } from './settings.ts'

const apiLimits = { requestsPerSecond: 100, burst: 200 }

/** Starts the link of a pod: its view of the API server, a certificate for each Identity, then peers. */
export async function startLink(
  settings: LinkSettings,
  deps: { log: Logger; registry: Registry; signal: AbortSignal },
): Promise<{ close(): Promise<void> }> {
  const { log, registry, signal } = deps
  const caPem = 'pem' in settings.ca ? settings.ca.pem : await readFile(settings.ca.file, 'utf8')
  const client = createClient({
    cluster: await clusterFromPod(settings.apiServer),
    userAgent: 'hansa-link',
    limits: apiLimits,
  })
  const { caUrl, caTokenFile: tokenFile, stateDir } = settings
  const start = (identityName: string, stop: AbortSignal) =>
    startOwnerCredentials({ identityName, caUrl, caPem, tokenFile, stateDir, log, signal: stop })
  const link = await serveLink(settings, { client, certificates: start, log, registry }, signal)
  return {
    close: async () => {
      await link.close()
      await client.close()
    },
  }
}
