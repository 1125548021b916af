import { readFile } from 'node:fs/promises'
import type { Registry } from 'prom-client'
import { startOwnerCredentials } from '../federation/owner-credentials.ts'
import { startIdentity } from '../identity/agent.ts'
import { createClient } from '../kube/client.ts'
import { systemClock } from '../kube/clock.ts'
import { clusterFromPod } from '../kube/in-cluster.ts'
import type { Logger } from '../process/log.ts'
import { startTracing } from '../process/tracing.ts'
import { createAccessLogger } from './access-log.ts'
import { startDataPath } from './data/start-data-path.ts'
import { startReceipts } from './receipts/start-receipts.ts'
import { serveGateway } from './serve-gateway.ts'
import type { GatewaySettings } from './settings.ts'
import { tuneCollector } from './tune-collector.ts'

/**
 * Starts the gateway of a pod: gets its certificate and its view of the API server, then serves. A restart with operator and API
 * server away goes on with the certificate, routes and keys in the state folder.
 */
export async function startGateway(
  settings: GatewaySettings,
  deps: { log: Logger; registry: Registry; signal?: AbortSignal },
): Promise<{ url: string; close(): Promise<void> }> {
  const { log, registry } = deps
  tuneCollector()
  // Renewal must go on while requests drain, so the process's signal ends only the wait for the first certificate.
  const stopping = new AbortController()
  const starting = deps.signal === undefined ? stopping.signal : AbortSignal.any([stopping.signal, deps.signal])
  const caPem = 'pem' in settings.ca ? settings.ca.pem : await readFile(settings.ca.file, 'utf8')
  const identity = await startIdentity({
    caUrl: settings.caUrl,
    caPem,
    tokenFile: settings.caTokenFile,
    stateDir: settings.stateDir,
    log,
    signal: starting,
    dnsNames: settings.dnsNames,
  })
  const client = createClient({ cluster: await clusterFromPod(settings.apiServer), userAgent: 'hansa-gateway' })
  const { otlpEndpoint: endpoint, instance, namespace } = settings
  const tracing =
    endpoint === undefined
      ? undefined
      : await startTracing({ endpoint, service: 'hansa-gateway', instance, namespace }, { log, registry })
  const accessLog = createAccessLogger(log)
  const dataPath =
    settings.dataPath === undefined
      ? undefined
      : await startDataPath(settings.dataPath, {
          identity,
          client,
          startCredentials: (identityName, signal) => {
            const { caUrl, caTokenFile: tokenFile, stateDir } = settings
            return startOwnerCredentials({ identityName, caUrl, caPem, tokenFile, stateDir, log, signal })
          },
          clock: systemClock,
          random: Math.random,
          log,
          registry,
        })
  const book =
    settings.receipts === undefined
      ? undefined
      : await startReceipts(settings, settings.receipts, { identity, log, registry })
  const gateway = await serveGateway(settings, { identity, client, log, accessLog, registry, tracing, dataPath, book })
  return {
    url: gateway.url,
    close: async () => {
      // Requests under way go over the data path.
      await gateway.close()
      await book?.close()
      await dataPath?.close()
      await tracing?.close()
      stopping.abort()
      await Promise.all([identity.close(), client.close()])
    },
  }
}
