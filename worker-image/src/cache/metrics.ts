import { Counter, Gauge, type Registry } from 'prom-client'
import type { BlobStore } from '../fetch/blob-store.ts'

export type CacheMetrics = ReturnType<typeof cacheMetrics>

/** Metrics of the cache of a node; every label is one of a few constants. */
export function cacheMetrics(registry: Registry, blobs: BlobStore) {
  const registers = [registry]
  new Gauge({
    name: 'hansa_cache_bytes',
    help: 'Bytes of files and of room promised to those that come in.',
    registers,
    collect() {
      this.set(blobs.usedBytes)
    },
  })
  new Gauge({
    name: 'hansa_cache_limit_bytes',
    help: 'Bytes that files may take.',
    registers,
    collect() {
      this.set(blobs.maxBytes)
    },
  })
  return {
    requests: new Counter({
      name: 'hansa_cache_requests_total',
      help: 'Requests of workers by what came of them: hit, joined, filled, refused; and failed fillings.',
      labelNames: ['result'],
      registers,
    }),
    served: new Counter({ name: 'hansa_cache_served_bytes_total', help: 'Bytes sent to workers.', registers }),
    filled: new Counter({
      name: 'hansa_cache_filled_bytes_total',
      help: 'Bytes got from the fetch worker.',
      registers,
    }),
    evicted: new Counter({
      name: 'hansa_cache_evicted_bytes_total',
      help: 'Bytes of files that made room for others.',
      registers,
    }),
  }
}
