import { readFile } from 'node:fs/promises'
import { isIPv6 } from 'node:net'
import { identityConnector } from '@hansa/operator/identity/connector.ts'
import type { Identity } from '@hansa/operator/identity/identity.ts'
import { parseSpiffe, spiffe } from '@hansa/operator/identity/spiffe.ts'
import type { Logger } from '@hansa/operator/process/log.ts'
import { startProbes } from '@hansa/operator/process/probes.ts'
import { Registry as Metrics } from 'prom-client'
import { Client } from 'undici'
import { defaultDomains } from '../model/limits.ts'
import { addressPolicy } from './address-policy.ts'
import { BlobStore } from './blob-store.ts'
import { Fetcher } from './fetcher.ts'
import { identityFrom } from './identity-settings.ts'
import { KeyedLimit } from './keyed-limit.ts'
import { fetchMetrics } from './metrics.ts'
import { ModelsApi } from './models-api.ts'
import type { Lookup } from './open-source.ts'
import type { PeerBlobs } from './peer-source.ts'
import { Registry } from './registry.ts'
import { startServer } from './server.ts'
import type { FetchSettings } from './settings.ts'

export type FetchDeps = {
  log: Logger
  signal: AbortSignal
  /** Instead of the one that the settings describe. */
  identity?: Identity
  lookup?: Lookup
  metrics?: Metrics
}

export type Fetch = { url: string; probesUrl: string; close(): Promise<void> }

/** Starts the fetch worker; `close` keeps unfinished files, so that the next start goes on with them. */
export async function startFetch(settings: FetchSettings, deps: FetchDeps): Promise<Fetch> {
  const { log } = deps
  const policy = addressPolicy(settings.HANSA_FETCH_ALLOWED_CIDRS)
  const caFile = settings.HANSA_SOURCE_CA_FILE
  const caPem = caFile === undefined ? undefined : await readFile(caFile, 'utf8')
  const metrics = deps.metrics ?? new Metrics()
  const blobs = await BlobStore.open(settings.HANSA_BLOB_DIR, settings.HANSA_BLOB_MAX_BYTES)
  // On the volume of the blobs: with an empty list of models beside full blobs, all of them would be collected.
  const registry = await Registry.open(settings.HANSA_BLOB_DIR, log)
  let ready = false
  const probes = await startProbes({
    host: settings.POD_IP,
    port: settings.HANSA_PROBES_PORT,
    ready: () => (ready ? undefined : 'waiting for a certificate'),
    registry: metrics,
  })
  try {
    const identity = deps.identity ?? (await identityFrom(settings, deps))
    const counters = fetchMetrics(metrics, registry, blobs)
    const host = settings.KUBERNETES_SERVICE_HOST
    const downloads = settings.HANSA_FETCH_CONCURRENCY
    const fetcher = new Fetcher({
      registry,
      blobs,
      downloads: new KeyedLimit(downloads, Math.max(1, Math.ceil(downloads / 2))),
      checks: new KeyedLimit(2, 1),
      obtain: {
        policy,
        localRoot: settings.HANSA_LOCAL_ROOT,
        peerBlobs: peerBlobsOf(settings, identity),
        stallSeconds: settings.HANSA_FETCH_STALL_SECONDS,
        minBytesPerSecond: settings.HANSA_FETCH_MIN_BYTES_PER_SECOND,
        credentials: {
          serviceAccountDir: settings.HANSA_SERVICE_ACCOUNT_DIR,
          apiUrl: `https://${isIPv6(host) ? `[${host}]` : host}:${settings.KUBERNETES_SERVICE_PORT}`,
          namespace: settings.POD_NAMESPACE,
          serviceAccount: parseSpiffe(identity.uri)?.serviceAccount ?? 'hansa-fetch',
        },
        ...(deps.lookup === undefined ? {} : { lookup: deps.lookup }),
        ...(caPem === undefined ? {} : { caPem }),
      },
      check: {
        allowedDomains: [...defaultDomains, ...(settings.HANSA_ALLOWED_DOMAINS ?? [])],
        deadlineMs: settings.HANSA_CHECK_SECONDS * 1000,
        heapMegabytes: settings.HANSA_CHECK_HEAP_MEGABYTES,
      },
      metrics: counters,
      log,
      clock: Date.now,
      random: Math.random,
      retrySeconds: settings.HANSA_FETCH_RETRY_SECONDS,
    })
    const maxModels = settings.HANSA_FETCH_MAX_MODELS
    const models = new ModelsApi({ registry, blobs, fetcher, maxModels, maxFiles: 200_000 })
    await models.collect()
    const operatorUri = spiffe(settings.HANSA_TRUST_DOMAIN, settings.POD_NAMESPACE, 'hansa-operator')
    const address = { host: settings.POD_IP, port: settings.HANSA_FETCH_PORT }
    const server = await startServer(address, {
      identity,
      operatorUri,
      inNameOf: ['hansa-cache', 'hansa-gateway'].map((account) =>
        spiffe(settings.HANSA_TRUST_DOMAIN, settings.POD_NAMESPACE, account),
      ),
      models,
      registry,
      blobs,
      fetcher,
      metrics: counters,
      log,
    })
    for (const record of registry.records.values()) {
      // Nobody has watched the disk meanwhile: what was verified is read and checked again before it is served.
      if (record.state.phase === 'Verified') {
        record.state = {
          ...record.state,
          phase: 'Pending',
          reason: 'Pending',
          message: 'is checked again after a restart',
        }
      }
      fetcher.wake(record.request.uid)
    }
    ready = true
    log.info({ url: server.url, models: registry.records.size, usedBytes: blobs.usedBytes }, 'fetch ready')
    return {
      url: server.url,
      probesUrl: probes.url,
      close: async () => {
        ready = false
        await server.close()
        await fetcher.close()
        await registry.save()
        await probes.close()
        if (deps.identity === undefined) await identity.close()
      },
    }
  } catch (error) {
    await probes.close()
    throw error
  }
}

function peerBlobsOf(settings: FetchSettings, identity: Identity): PeerBlobs | undefined {
  const { HANSA_PEER_BLOBS_URL: url, HANSA_TRUST_DOMAIN, POD_NAMESPACE } = settings
  if (url === undefined) return undefined
  const connect = identityConnector(identity, spiffe(HANSA_TRUST_DOMAIN, POD_NAMESPACE, 'hansa-gateway'))
  return {
    url,
    // A connection each: another gateway behind the same name may have the peer that this one has lost.
    open: () => new Client(url, { connect, pipelining: 1, headersTimeout: 60_000, bodyTimeout: 300_000 }),
  }
}
