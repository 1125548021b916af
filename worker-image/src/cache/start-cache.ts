import type { IncomingMessage, ServerResponse } from 'node:http'
import { identityConnector } from '@hansa/operator/identity/connector.ts'
import type { Identity } from '@hansa/operator/identity/identity.ts'
import { parseSpiffe } from '@hansa/operator/identity/spiffe.ts'
import type { Logger } from '@hansa/operator/process/log.ts'
import { startProbes } from '@hansa/operator/process/probes.ts'
import { Registry } from 'prom-client'
import { Agent } from 'undici'
import { BlobStore } from '../fetch/blob-store.ts'
import { identityFrom } from '../fetch/identity-settings.ts'
import { CallRefused, methodRefused, startMtlsServer } from '../fetch/mtls-server.ts'
import { serveBlob } from '../fetch/serve-blob.ts'
import { Grants } from './grants.ts'
import { cacheMetrics } from './metrics.ts'
import { NodeCache } from './node-cache.ts'
import { serveFilling } from './serve-filling.ts'
import type { CacheSettings } from './settings.ts'
import { fetchUpstream } from './upstream.ts'

export type CacheDeps = {
  log: Logger
  signal: AbortSignal
  /** Instead of the one that the settings describe. */
  identity?: Identity
  registry?: Registry
}

export type Cache = { url: string; probesUrl: string; close(): Promise<void> }

const stallSeconds = 20

/** Starts the cache of a node: `GET /v1/blobs/sha256:<hex>` (Range) for workers of any namespace that may have the blob. */
export async function startCache(settings: CacheSettings, deps: CacheDeps): Promise<Cache> {
  const { log } = deps
  const registry = deps.registry ?? new Registry()
  let ready = false
  const probes = await startProbes({
    host: settings.POD_IP,
    port: settings.HANSA_PROBES_PORT,
    ready: () => (ready ? undefined : 'waiting for a certificate'),
    registry,
  })
  try {
    const blobs = await BlobStore.open(settings.HANSA_CACHE_DIR, settings.HANSA_CACHE_MAX_BYTES)
    await blobs.discardAll('cache')
    const identity = deps.identity ?? (await identityFrom(settings, deps))
    const stopping = new AbortController()
    const { signal } = stopping
    const dispatcher = new Agent({ connect: identityConnector(identity, settings.HANSA_FETCH_URI), bodyTimeout: 0 })
    const upstream = fetchUpstream(settings.HANSA_FETCH_URL, dispatcher)
    const metrics = cacheMetrics(registry, blobs)
    const cache = new NodeCache({ blobs, upstream, metrics, log, signal, stallSeconds })
    const grants = new Grants(upstream, { seconds: settings.HANSA_CACHE_GRANT_SECONDS, now: () => performance.now() })
    const trustDomain = parseSpiffe(identity.uri)?.trustDomain

    const handle = async (request: IncomingMessage, response: ServerResponse, uri: string | undefined) => {
      const parts = uri === undefined ? undefined : parseSpiffe(uri)
      if (parts?.trustDomain !== trustDomain || parts?.serviceAccount.endsWith('-worker') !== true) {
        throw new CallRefused(403, 'Forbidden', 'this identity may make no call')
      }
      const sha256 = /^\/v1\/blobs\/sha256:([0-9a-f]{64})$/.exec(request.url ?? '')?.[1]
      if (sha256 === undefined) throw new CallRefused(404, 'NotFound', 'no such path')
      if (request.method !== 'GET') throw methodRefused()
      const sizeBytes = await grants.size(parts.namespace, sha256, signal)
      if (sizeBytes === undefined) {
        metrics.requests.inc({ result: 'refused' })
        throw new CallRefused(404, 'BlobNotFound', 'no verified model names this blob')
      }
      const served = (bytes: number) => metrics.served.inc(bytes)
      for (;;) {
        if (await cache.has(sha256)) {
          metrics.requests.inc({ result: 'hit' })
          await serveBlob(request, response, sha256, { blobs, signal, served, corrupted: () => cache.drop(sha256) })
          return
        }
        const filling = await cache.fill(parts.namespace, sha256, sizeBytes)
        if (filling === undefined) continue
        try {
          return await serveFilling(request, response, sha256, filling, { signal, served })
        } finally {
          await filling.release()
        }
      }
    }

    const address = { host: settings.POD_IP, port: settings.HANSA_CACHE_PORT }
    const server = await startMtlsServer(address, { identity, log, handle, stopping })
    ready = true
    log.info({ url: server.url, usedBytes: blobs.usedBytes }, 'cache ready')
    return {
      url: server.url,
      probesUrl: probes.url,
      close: async () => {
        ready = false
        await server.close()
        await cache.close()
        await dispatcher.destroy()
        await probes.close()
        if (deps.identity === undefined) await identity.close()
      },
    }
  } catch (error) {
    await probes.close()
    throw error
  }
}
