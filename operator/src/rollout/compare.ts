import type { InferenceServiceSpec } from '../api/inference-service.ts'
import type { RevisionWindow } from '../demand/demand.ts'
import { countAbove, quantileMs } from './latency.ts'
import { exceeds, upperQuantile, upperShare } from './share.ts'

export type Verdict = { reason: 'NotReady' | 'TooManyErrors' | 'TooSlow' | 'Disagrees' | 'Aborted'; message: string }

/** Both revisions in the same time; `warm` leaves out the first seconds of the new one, for its latency. */
export type Compared = {
  next: RevisionWindow
  old: RevisionWindow
  warm: { next: RevisionWindow; old: RevisionWindow }
}

export const nothingSeen: RevisionWindow = { requests: 0, failures: 0, latencyCounts: [], mirrored: 0, disagreed: 0 }

// A 90th percentile of 1 ms may double by itself.
const leastDifferenceMs = 2

/**
 * What the figures prove against the new revision; undefined while they prove nothing. A share must be above its limit by more
 * than chance: a failure in 20 requests is no proof of more than 1 %, five are.
 */
export function compare(rollout: InferenceServiceSpec['rollout'], compared: Compared): Verdict | undefined {
  return tooManyErrors(rollout, compared) ?? tooSlow(rollout, compared) ?? disagrees(rollout, compared)
}

function tooManyErrors({ analysis }: InferenceServiceSpec['rollout'], { next, old }: Compared): Verdict | undefined {
  if (next.requests < analysis.minRequests) return undefined
  const limit = upperShare(old.failures, old.requests) + analysis.maxErrorPermille / 1000
  if (!exceeds(next.failures, next.requests, limit)) return undefined
  return {
    reason: 'TooManyErrors',
    message: `${next.failures} of ${next.requests} requests failed, of the old revision ${old.failures} of ${old.requests}; allowed are ${analysis.maxErrorPermille} per mille more`,
  }
}

function tooSlow(
  { analysis }: InferenceServiceSpec['rollout'],
  { warm: { next, old } }: Compared,
): Verdict | undefined {
  const counted = sum(next.latencyCounts)
  const oldCounted = sum(old.latencyCounts)
  if (counted < analysis.minRequests || oldCounted < analysis.minRequests) return undefined
  const base = quantileMs(old.latencyCounts, upperQuantile(0.9, oldCounted))
  const p90 = quantileMs(next.latencyCounts, 0.9)
  const oldP90 = quantileMs(old.latencyCounts, 0.9)
  if (base === undefined || p90 === undefined || oldP90 === undefined) return undefined
  const limit = Math.max((base * analysis.maxLatencyPermille) / 1000, base + leastDifferenceMs)
  // The 90th percentile is above the limit where more than a tenth of all are.
  if (!exceeds(countAbove(next.latencyCounts, limit), counted, 0.1)) return undefined
  return {
    reason: 'TooSlow',
    message: `the 90th percentile of ${counted} requests is ${ms(p90)}, of the old revision ${ms(oldP90)} (${oldCounted} requests); allowed are ${analysis.maxLatencyPermille} per mille of it`,
  }
}

function disagrees({ analysis, mirror }: InferenceServiceSpec['rollout'], { next }: Compared): Verdict | undefined {
  if (mirror === undefined || next.mirrored < analysis.minRequests) return undefined
  if (!exceeds(next.disagreed, next.mirrored, mirror.maxDisagreementPermille / 1000)) return undefined
  return {
    reason: 'Disagrees',
    message: `${next.disagreed} of ${next.mirrored} mirrored requests were answered otherwise than by the old revision; allowed are ${mirror.maxDisagreementPermille} per mille`,
  }
}

/** The comparison in words, for people; short, since it goes into a condition. */
export function figures({ next, old }: Pick<Compared, 'next' | 'old'>): string {
  const of = (window: RevisionWindow) => {
    const p90 = quantileMs(window.latencyCounts, 0.9)
    return `${window.requests} requests, ${window.failures} failed${p90 === undefined ? '' : `, p90 ${ms(p90)}`}`
  }
  const mirrored = next.mirrored === 0 ? '' : `; ${next.disagreed} of ${next.mirrored} mirrored disagreed`
  return `new: ${of(next)}; old: ${of(old)}${mirrored}`
}

const ms = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0)
}
