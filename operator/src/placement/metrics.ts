import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

export type PlacementMetrics = {
  /** A decision was made, in so many seconds. */
  decided(result: 'Placed' | 'Unplaced', seconds: number): void
  /** Workers that began or ended to be wanted at a place. */
  moved(direction: 'ToPeers' | 'Home', workers: number): void
}

/** Counts decisions for as long as the signal lasts. */
export function placementMetrics(registry: Registry, size: () => number, signal: AbortSignal): PlacementMetrics {
  const decisions = new Counter({
    name: 'hansa_placement_decisions_total',
    help: 'Decisions about which owners run the workers of a service: Placed, or Unplaced where some have no place.',
    labelNames: ['result'],
    registers: [],
  })
  const duration = new Histogram({
    name: 'hansa_placement_decision_duration_seconds',
    help: 'Time that a decision took.',
    buckets: [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3],
    registers: [],
  })
  const moves = new Counter({
    name: 'hansa_placement_moves_total',
    help: 'Workers that are wanted elsewhere than before, by direction: ToPeers, Home.',
    labelNames: ['direction'],
    registers: [],
  })
  const pauses = new Gauge({
    name: 'hansa_placement_pauses',
    help: 'Services and places that refused, and are not asked for more before a pause.',
    registers: [],
    collect() {
      this.set(size())
    },
  })
  registry.registerMetric(decisions)
  registry.registerMetric(duration)
  registry.registerMetric(moves)
  registry.registerMetric(pauses)
  // Only the leader decides; what it knew must not stay when it leads no more.
  const remove = () => {
    registry.removeSingleMetric('hansa_placement_decisions_total')
    registry.removeSingleMetric('hansa_placement_decision_duration_seconds')
    registry.removeSingleMetric('hansa_placement_moves_total')
    registry.removeSingleMetric('hansa_placement_pauses')
  }
  signal.addEventListener('abort', remove, { once: true })
  return {
    decided: (result, seconds) => {
      decisions.inc({ result })
      duration.observe(seconds)
    },
    moved: (direction, workers) => moves.inc({ direction }, workers),
  }
}
