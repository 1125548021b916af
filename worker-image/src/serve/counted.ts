import type { ServeMetrics } from './metrics.ts'

/** Runs one inference and counts it, whatever protocol it came by: its time, and whether it was answered or failed. */
export async function counted<T>(metrics: ServeMetrics, run: () => Promise<T>): Promise<T> {
  const startedAt = performance.now()
  let ok = false
  try {
    const result = await run()
    ok = true
    metrics.success.inc()
    metrics.inferences.inc()
    return result
  } catch (error) {
    metrics.failure.inc()
    throw error
  } finally {
    const micros = (performance.now() - startedAt) * 1000
    metrics.requestMicros.inc(micros)
    metrics.seconds.observe(micros / 1e6)
    metrics.answered[ok ? 'successMicros' : 'failureMicros'] += micros
    if (ok) metrics.answered.lastAtMs = Date.now()
  }
}
