import { latencyBoundsMs } from '../gateway/demand/demand-report.ts'

/** The quantile (0..1) in milliseconds of latencies counted in the gateways' buckets; undefined where nothing was counted. */
export function quantileMs(counts: readonly number[], quantile: number): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return undefined
  const rank = quantile * total
  let below = 0
  for (const [bucket, count] of counts.entries()) {
    if (count > 0 && below + count >= rank) {
      const { from, to } = edges(bucket)
      return from + (to - from) * Math.max(0, (rank - below) / count)
    }
    below += count
  }
  return edges(counts.length - 1).to
}

/** How many of the counted latencies were above a limit; those of the limit's own bucket in proportion, rounded down. */
export function countAbove(counts: readonly number[], limitMs: number): number {
  let above = 0
  for (const [bucket, count] of counts.entries()) {
    const { from, to } = edges(bucket)
    if (from >= limitMs) above += count
    else if (to > limitMs) above += count * ((to - limitMs) / (to - from))
  }
  return Math.floor(above)
}

/** The last bucket has no upper bound; what is in it counts as its lower one. */
function edges(bucket: number): { from: number; to: number } {
  const from = bucket === 0 ? 0 : (latencyBoundsMs[Math.min(bucket, latencyBoundsMs.length) - 1] ?? 0)
  return { from, to: latencyBoundsMs[bucket] ?? from }
}
