import { modelReasons } from '@hansa/operator/api/model-reasons.ts'
import { Counter, Gauge, Histogram, type Registry as Metrics } from 'prom-client'
import type { BlobStore } from './blob-store.ts'
import type { Registry } from './registry.ts'

const phases = ['Pending', 'Fetching', 'Verified', 'Failed'] as const

export type FetchMetrics = ReturnType<typeof fetchMetrics>

/** Metrics of the fetch worker; every label is one of a few constants. */
export function fetchMetrics(metrics: Metrics, registry: Registry, blobs: BlobStore) {
  const registers = [metrics]
  new Gauge({
    name: 'hansa_fetch_models',
    help: 'Models by phase.',
    labelNames: ['phase'],
    registers,
    collect() {
      const counts = new Map<string, number>(phases.map((phase) => [phase, 0]))
      for (const { state } of registry.records.values()) counts.set(state.phase, (counts.get(state.phase) ?? 0) + 1)
      for (const [phase, count] of counts) this.set({ phase }, count)
    },
  })
  new Gauge({
    name: 'hansa_fetch_blob_bytes',
    help: 'Bytes of stored files and of room promised to unfinished ones.',
    registers,
    collect() {
      this.set(blobs.usedBytes)
    },
  })
  new Gauge({
    name: 'hansa_fetch_blob_limit_bytes',
    help: 'Bytes that stored files may take.',
    registers,
    collect() {
      this.set(blobs.maxBytes)
    },
  })
  const failures = new Counter({
    name: 'hansa_fetch_failures_total',
    help: 'Failed attempts by reason.',
    labelNames: ['reason'],
    registers,
  })
  const known = new Set<string>(modelReasons)
  return {
    received: new Counter({
      name: 'hansa_fetch_bytes_total',
      help: 'Bytes read from sources.',
      labelNames: ['source'],
      registers,
    }),
    served: new Counter({ name: 'hansa_fetch_served_bytes_total', help: 'Bytes of blobs sent to workers.', registers }),
    checkSeconds: new Histogram({
      name: 'hansa_fetch_check_seconds',
      help: 'Time to check the ONNX files of a model.',
      buckets: [0.1, 0.5, 1, 5, 15, 60, 300],
      registers,
    }),
    failed: (reason: string) => failures.inc({ reason: known.has(reason) ? reason : 'Other' }),
  }
}
