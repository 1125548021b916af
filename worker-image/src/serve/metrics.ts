import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** What a worker counts; names that the field knows from Triton, ours with `hansa_worker_`. Labels: model and version alone. */
export type ServeMetrics = ReturnType<typeof createServeMetrics>

export function createServeMetrics(registry: Registry, labels: { model: string; version: string }) {
  const registers = [registry]
  const labelNames = ['model', 'version']
  const counter = (name: string, help: string) => {
    const counter = new Counter({ name, help, labelNames, registers })
    const one = counter.labels(labels)
    one.inc(0) // A counter that exists from the start shows its first event as a rise.
    return {
      inc: (by?: number) => one.inc(by),
      value: async () => (await counter.get()).values[0]?.value ?? 0,
    }
  }
  const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames, registers }).labels(labels)
  const provider = new Gauge({
    name: 'hansa_worker_execution_provider',
    help: 'Execution provider in use (1).',
    labelNames: ['provider'],
    registers,
  })
  return {
    /** What statistics tell beside the counters. */
    answered: { successMicros: 0, failureMicros: 0, lastAtMs: 0 },
    success: counter('nv_inference_request_success', 'Inference requests answered with a result.'),
    failure: counter('nv_inference_request_failure', 'Inference requests answered with an error.'),
    inferences: counter('nv_inference_count', 'Inferences performed.'),
    executions: counter('nv_inference_exec_count', 'Runs of the model.'),
    requestMicros: counter(
      'nv_inference_request_duration_us',
      'Sum of the time of answered requests, in microseconds.',
    ),
    queueMicros: counter('nv_inference_queue_duration_us', 'Sum of the time that requests waited, in microseconds.'),
    pending: gauge('nv_inference_pending_request_count', 'Requests that wait for a session.'),
    restarts: counter('hansa_worker_session_restarts_total', 'Session processes started again.'),
    bufferedBytes: gauge('hansa_worker_buffered_bytes', 'Bytes of request and response bodies held in memory.'),
    batching: gauge('hansa_worker_batching', 'Whether requests may run together (1) or not (0).'),
    batchRows: new Histogram({
      name: 'hansa_worker_batch_rows',
      help: 'Rows in one run of the model; a run without batching counts as one row.',
      labelNames,
      registers,
      buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
    }).labels(labels),
    seconds: new Histogram({
      name: 'hansa_worker_request_duration_seconds',
      help: 'Time from the head of an inference request to the end of its answer.',
      labelNames,
      registers,
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    }).labels(labels),
    usesProvider: (name: 'CPU' | 'CUDA') => provider.labels({ provider: name }).set(1),
  }
}

/** Time that is left of the lease of a guest's worker. */
export function watchLeaseLeft(registry: Registry, leftSeconds: () => number): void {
  new Gauge({
    name: 'hansa_worker_lease_left_seconds',
    help: 'Time that is left of the lease; guests only.',
    registers: [registry],
    collect() {
      this.set(leftSeconds())
    },
  })
}
