import type { ServiceReport } from '../gateway/demand/demand-report.ts'

/** The growing counts of one service in one gateway at a moment. */
export type Sample = Pick<ServiceReport, 'arrivals' | 'inFlightSeconds' | 'revisions'> & { at: number }

/** Longest window in seconds: that of `spec.rollout.analysis`, and nothing asks for more. */
export const longestWindowSeconds = 3_600

// Samples older than a minute are thinned to one in ten seconds, those older than ten minutes to one a minute: at most
// some 120 + 54 + 50 of them, however often a gateway reports.
const fineSeconds = 60
const middleSeconds = 600
const leastSpacingSeconds = 0.9
const compactAt = 256

/** Adds a sample as the newest; those hardly apart in time, and those that say nothing new, take no place. */
export function addSample(samples: Sample[], sample: Sample): void {
  const last = samples.at(-1)
  const before = samples.at(-2)
  const next = last !== undefined && isSame(last, sample) ? { ...sample, revisions: last.revisions } : sample
  const replaces =
    last !== undefined &&
    before !== undefined &&
    (sample.at - before.at < leastSpacingSeconds || (isSame(last, sample) && isSame(before, sample)))
  if (replaces) samples[samples.length - 1] = next
  else samples.push(next)
  if (samples.length >= compactAt) compact(samples, sample.at)
}

/** Index of the newest sample at or before that time; the first one when all are later. */
export function indexAt(samples: readonly Sample[], at: number): number {
  let low = 0
  let high = samples.length - 1
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if ((samples[middle]?.at ?? 0) <= at) low = middle
    else high = middle - 1
  }
  return low
}

/** `inFlightSeconds` at a time, on a straight line between the samples beside it. */
export function inFlightSecondsAt(samples: readonly Sample[], at: number): number {
  const index = indexAt(samples, at)
  const left = samples[index]
  const right = samples[index + 1]
  if (left === undefined) return 0
  if (right === undefined || at <= left.at) return left.inFlightSeconds
  const share = (at - left.at) / (right.at - left.at)
  return left.inFlightSeconds + share * (right.inFlightSeconds - left.inFlightSeconds)
}

function isSame(a: Sample, b: Sample): boolean {
  if (a.arrivals !== b.arrivals || a.inFlightSeconds !== b.inFlightSeconds) return false
  return (
    a.revisions.length === b.revisions.length &&
    a.revisions.every((one, i) => {
      const other = b.revisions[i]
      return (
        one.revision === other?.revision &&
        one.requests === other.requests &&
        one.failures === other.failures &&
        one.mirrored === other.mirrored &&
        one.disagreed === other.disagreed
      )
    })
  )
}

function compact(samples: Sample[], now: number): void {
  const kept: Sample[] = []
  for (let i = samples.length - 1; i >= 0; i--) {
    const sample = samples[i]
    const newer = kept.at(-1)
    if (sample === undefined) continue
    const age = now - sample.at
    // Buckets of absolute time, so that what was kept once stays until its bucket is a larger one.
    const bucketSeconds = age <= fineSeconds ? 0 : age <= middleSeconds ? 10 : 60
    const bucket = (at: number) => Math.floor(at / bucketSeconds)
    if (newer !== undefined && bucketSeconds > 0 && bucket(newer.at) === bucket(sample.at)) continue
    kept.push(sample)
    if (age > longestWindowSeconds) break
  }
  samples.splice(0, samples.length, ...kept.reverse())
}
