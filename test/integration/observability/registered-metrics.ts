import { measureAges } from '@hansa/operator/demand/follow-gateways.ts'
import { dataMetrics } from '@hansa/operator/gateway/data/metrics.ts'
import { createMetrics } from '@hansa/operator/gateway/metrics.ts'
import { receiptMetrics } from '@hansa/operator/gateway/receipts/start-receipts.ts'
import type { RouteTable } from '@hansa/operator/gateway/route/route-table.ts'
import { WorkUse } from '@hansa/operator/gateway/work/work-use.ts'
import { gpuCounter } from '@hansa/operator/guestwork/metrics.ts'
import { endpointMetrics } from '@hansa/operator/identity/endpoint.ts'
import { controllerMetrics, reflectorMetrics } from '@hansa/operator/kube/metrics.ts'
import { ledgerMetrics } from '@hansa/operator/ledger/metrics.ts'
import { createLinkMetrics } from '@hansa/operator/link/metrics.ts'
import { countKinds } from '@hansa/operator/operator/kind-metrics.ts'
import { placementMetrics } from '@hansa/operator/placement/metrics.ts'
import { createLogger } from '@hansa/operator/process/log.ts'
import { startTracing } from '@hansa/operator/process/tracing.ts'
import { refusedCounter } from '@hansa/operator/remotework/metrics.ts'
import { rolloutCounter } from '@hansa/operator/rollout/metrics.ts'
import { measureCounts } from '@hansa/operator/scaling/scaler.ts'
import { cacheMetrics } from '@hansa/worker/cache/metrics.ts'
import type { BlobStore } from '@hansa/worker/fetch/blob-store.ts'
import { fetchMetrics } from '@hansa/worker/fetch/metrics.ts'
import type { Registry as FetchRegistry } from '@hansa/worker/fetch/registry.ts'
import { createEmbeddingMetrics } from '@hansa/worker/serve/embed/metrics.ts'
import { createServeMetrics, watchLeaseLeft } from '@hansa/worker/serve/metrics.ts'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { z } from 'zod'

/** A series name that a scrape gives, and the labels that it may carry. */
export type Series = ReadonlyMap<string, ReadonlySet<string>>

// prom-client keeps these on every metric without declaring them.
const metricSchema = z.looseObject({
  name: z.string(),
  labelNames: z.array(z.string()).default([]),
  type: z.string().optional(),
})

/** Labels that Prometheus puts on what it scrapes through a PodMonitor. */
const targetLabels = ['namespace', 'pod', 'container', 'endpoint', 'job', 'instance']

/**
 * Registers every metric as the processes do, and returns the series that scrapes of them give: histograms with their three
 * suffixes. Nothing is collected, so what the metrics would read is not needed.
 */
export async function registeredSeries(): Promise<Series> {
  const { signal } = new AbortController()
  const list = () => []
  const operator = new Registry()
  countKinds(
    operator,
    {
      services: { list },
      models: { list },
      keys: { list },
      identities: { list },
      peers: { list },
      egressPolicies: { list },
      remoteWorks: { list },
      sharePolicies: { list },
      guestWorks: { list },
    },
    signal,
  )
  controllerMetrics(operator, 'any')
  reflectorMetrics(operator, { cluster: 'any', resource: 'any' })
  endpointMetrics(operator)
  rolloutCounter(operator, signal)
  gpuCounter(operator, signal)
  refusedCounter(operator, signal)
  measureAges(operator, signal, list)
  measureCounts(operator, signal, new Map())
  placementMetrics(operator, () => 0, signal)
  const gateway = new Registry()
  reflectorMetrics(gateway, { cluster: 'any', resource: 'any' })
  // Only read when collected.
  const routes = { list } as unknown as RouteTable
  createMetrics({ registry: gateway, routes, issuers: [], routesAgeSeconds: () => 0 }).watchCalls({
    connections: () => 0,
    streams: () => 0,
  })
  dataMetrics(gateway, list)
  new WorkUse(1, gateway)
  receiptMetrics(gateway, { spoolBytes: () => 0, stoppedGrants: () => 0 })
  const log = createLogger('any', 'silent')
  const names = { service: 'any', instance: 'any', namespace: 'any' }
  // Without a span nothing is sent.
  const tracing = await startTracing({ endpoint: 'http://127.0.0.1:4318', ...names }, { log, registry: gateway })
  await tracing.close()
  const [fetch, cache, serve, link] = [new Registry(), new Registry(), new Registry(), new Registry()]
  const ledger = new Registry()
  ledgerMetrics(ledger)
  reflectorMetrics(ledger, { cluster: 'any', resource: 'any' })
  createLinkMetrics(link)
  controllerMetrics(link, 'any')
  // Only read when collected.
  const blobs = {} as BlobStore
  fetchMetrics(fetch, { records: new Map() } as unknown as FetchRegistry, blobs)
  cacheMetrics(cache, blobs)
  const labels = { model: 'any', version: '1' }
  createServeMetrics(serve, labels)
  createEmbeddingMetrics(serve, labels)
  watchLeaseLeft(serve, () => 0)
  collectDefaultMetrics({ register: serve })

  const series = new Map<string, ReadonlySet<string>>()
  for (const registry of [operator, gateway, fetch, cache, serve, link, ledger]) {
    for (const metric of registry.getMetricsAsArray()) {
      const { name, labelNames } = metricSchema.parse(metric)
      const own = new Set([...labelNames, ...targetLabels])
      if (!('upperBounds' in metric)) {
        series.set(name, own)
        continue
      }
      series.set(`${name}_bucket`, new Set([...own, 'le']))
      series.set(`${name}_sum`, own)
      series.set(`${name}_count`, own)
    }
  }
  return series
}

/** The names as the code writes them, without the suffixes of histograms. */
export function registeredNames(series: Series): Set<string> {
  return new Set(
    [...series.keys()].map((name) => {
      const base = name.replace(/_(bucket|sum|count)$/, '')
      return series.has(`${base}_bucket`) ? base : name
    }),
  )
}
