import { Counter, type Registry } from 'prom-client'
import type { RolledOutReason } from '../api/inference-service-reasons.ts'

export type RolloutCounter = {
  /** Counts the end of a canary by its reason, such as Promoted or TooManyErrors. */
  ended(reason: RolledOutReason): void
}

/** Counts canaries as they end, for as long as the signal lasts. */
export function rolloutCounter(registry: Registry, signal: AbortSignal): RolloutCounter {
  const name = 'hansa_operator_rollouts_total'
  const counter = new Counter({
    name,
    help: 'Canaries that ended, by reason: Promoted, or why they were rolled back.',
    labelNames: ['result'],
    registers: [],
  })
  registry.registerMetric(counter)
  signal.addEventListener('abort', () => registry.removeSingleMetric(name), { once: true })
  return { ended: (reason) => counter.inc({ result: reason }) }
}
