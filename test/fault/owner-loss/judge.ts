import { percentile } from '../../bench/grant-latency/percentiles.ts'
import type { Outcome } from './load.ts'

export type Damage = {
  /** Requests that began during the fault. */
  sent: number
  failed: Outcome[]
  /** Seconds after which no request began that the fault was felt by. */
  moved: number
  /** Milliseconds. */
  slowest: number
  /** p50 and p99. */
  before: string
  during: string
}

/** What is no answer in time any more, unless the machine was that slow before; an answer takes some ten milliseconds. */
const leastFeltMs = 1000
const beforeMs = 5000
const windowMs = 1000

/**
 * What users felt of a fault. A request felt it that failed, took long, or went to an owner that is lost; from one that is slow traffic has
 * moved when it gets less than a tenth.
 */
export function damageOf(
  outcomes: readonly Outcome[],
  { began, healed, peer, isLoss }: { began: number; healed: number; peer: string; isLoss: boolean },
): Damage {
  const during = outcomes.filter((each) => each.began >= began && each.began < healed)
  // Those that were under way when it began as well.
  const touched = outcomes.filter((each) => each.began + each.took >= began && each.began < healed)
  const failed = touched.filter(({ status }) => status !== 200)
  const earlier = outcomes.filter((each) => each.began >= began - beforeMs && each.began + each.took < began)
  const feltMs = Math.max(leastFeltMs, ...earlier.map(({ took }) => 2 * took))
  const felt = isLoss
    ? touched.filter(({ status, took, owner }) => status !== 200 || took > feltMs || owner === peer)
    : touched.filter((each) => each.status !== 200 || (each.owner === peer && isMuch(each, during, peer)))
  return {
    sent: during.length,
    failed,
    moved: Math.max(0, ...felt.map((each) => (each.began - began) / 1000)),
    slowest: Math.max(0, ...touched.map(({ took }) => took)),
    before: latencies(earlier),
    during: latencies(during),
  }
}

/** Whether in the second after a request a tenth or more went to the peer: a slow one may get what nobody else has room for. */
function isMuch({ began }: Outcome, outcomes: readonly Outcome[], peer: string): boolean {
  const near = outcomes.filter((each) => each.began >= began && each.began < began + windowMs)
  return near.filter(({ owner }) => owner === peer).length * 10 >= near.length
}

/** As `p50 12 ms, p99 40 ms`. */
export function latencies(outcomes: readonly Outcome[]): string {
  const took = outcomes.map((each) => each.took)
  if (took.length === 0) return 'no requests'
  return `p50 ${percentile(took, 0.5).toFixed(0)} ms, p99 ${percentile(took, 0.99).toFixed(0)} ms`
}
