import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

type Metric = Counter | Gauge | Histogram

/** The metric of that name, made on first use, so that several reflectors or controllers can share a registry. */
function shared<M extends Metric>(registry: Registry, name: string, make: () => M): M {
  // Each name is used with one type only, all in this file.
  return (registry.getSingleMetric(name) as M | undefined) ?? make()
}

function counter(registry: Registry | undefined, name: string, help: string, labelNames: readonly string[]) {
  if (registry === undefined) return undefined
  return shared(registry, name, () => new Counter({ name, help, labelNames, registers: [registry] }))
}

function gauge(registry: Registry | undefined, name: string, help: string, labelNames: readonly string[]) {
  if (registry === undefined) return undefined
  return shared(registry, name, () => new Gauge({ name, help, labelNames, registers: [registry] }))
}

/** What reflectors count, by cluster and resource. */
export function reflectorMetrics(registry: Registry | undefined, labels: { cluster: string; resource: string }) {
  const names = ['cluster', 'resource']
  const lists = counter(registry, 'hansa_reflector_lists_total', 'Lists asked for.', names)?.labels(labels)
  const watches = counter(registry, 'hansa_reflector_watches_total', 'Watches opened.', names)?.labels(labels)
  const errors = counter(registry, 'hansa_reflector_errors_total', 'Lists and watches that failed.', names)
  const silences = counter(
    registry,
    'hansa_reflector_silent_watches_total',
    'Watches replaced because nothing was heard.',
    names,
  )
  const last = gauge(
    registry,
    'hansa_reflector_last_sync_timestamp_seconds',
    'When the API server was last heard.',
    names,
  )
  const size = gauge(registry, 'hansa_reflector_objects', 'Objects in the store.', names)
  return {
    listed: () => lists?.inc(),
    watched: () => watches?.inc(),
    failed: () => errors?.labels(labels).inc(),
    silent: () => silences?.labels(labels).inc(),
    heard: (nowMilliseconds: number) => last?.labels(labels).set(nowMilliseconds / 1_000),
    objects: (count: number) => size?.labels(labels).set(count),
  }
}

export type ReconcileOutcome = 'success' | 'requeued' | 'error' | 'terminal'

/** What controllers count, by the controller's name. */
export function controllerMetrics(registry: Registry, controller: string) {
  const total = counter(registry, 'hansa_reconcile_total', 'Reconciles by result.', ['controller', 'result'])
  const durationName = 'hansa_reconcile_duration_seconds'
  const duration = shared(
    registry,
    durationName,
    () =>
      new Histogram({
        name: durationName,
        help: 'How long a reconcile took.',
        labelNames: ['controller'],
        buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300],
        registers: [registry],
      }),
  )
  const names = ['controller']
  const depth = gauge(registry, 'hansa_workqueue_depth', 'Keys that wait for a reconcile.', names)
  const running = gauge(registry, 'hansa_reconciles_running', 'Reconciles under way.', names)
  return {
    reconciled(result: ReconcileOutcome, milliseconds: number) {
      total?.labels({ controller, result }).inc()
      duration.labels({ controller }).observe(milliseconds / 1_000)
    },
    depth: (count: number) => depth?.labels({ controller }).set(count),
    running: (count: number) => running?.labels({ controller }).set(count),
  }
}
