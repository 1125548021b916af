import { latencyBoundsMs, type RevisionReport } from './demand-report.ts'

const perLogarithm = 1 / Math.log(1.25)
const fadeMs = 10_000

/**
 * What a gateway counts of one revision: inference requests (POST) only, since probes say nothing of how well a model serves.
 * Plain numbers, because every request passes here.
 */
export class RevisionCounts {
  requests = 0
  failures = 0
  mirrored = 0
  disagreed = 0
  lastUsedAt = 0
  readonly #latency: number[] = latencyBoundsMs.map(() => 0).concat(0)
  readonly #recent: number[] = latencyBoundsMs.map(() => 0).concat(0)
  #recentCount = 0
  #fadedAt = 0

  /** The worker answered; `milliseconds` from the whole request being sent to the head of the answer. */
  answered(milliseconds: number, now: number): void {
    this.requests += 1
    this.lastUsedAt = now
    const bucket = latencyBucket(milliseconds)
    this.#latency[bucket] = (this.#latency[bucket] ?? 0) + 1
    this.#recent[bucket] = (this.#recent[bucket] ?? 0) + 1
    this.#recentCount += 1
  }

  /** The worker answered with an error of its own, broke the connection, or could not be reached. */
  failed(now: number): void {
    this.requests += 1
    this.failures += 1
    this.lastUsedAt = now
  }

  /** An answer that was counted broke off, or could not be passed on. */
  spoiled(): void {
    this.failures += 1
  }

  /** 90th percentile of the last half minute or so; undefined while fewer than ten answers are known. */
  recentP90Ms(now: number): number | undefined {
    this.#fade(now)
    if (this.#recentCount < 10) return undefined
    let seen = 0
    const wanted = this.#recentCount * 0.9
    for (const [bucket, count] of this.#recent.entries()) {
      seen += count
      if (seen >= wanted) return latencyBoundsMs[bucket] ?? 2 * (latencyBoundsMs.at(-1) ?? 0)
    }
    return undefined
  }

  report(revision: string): RevisionReport {
    const { requests, failures, mirrored, disagreed } = this
    return { revision, requests, failures, latencyCounts: [...this.#latency], mirrored, disagreed }
  }

  /** Halves what is remembered every ten seconds, so that old load does not speak for the present one. */
  #fade(now: number): void {
    const halvings = Math.min(20, Math.floor((now - this.#fadedAt) / fadeMs))
    if (halvings < 1) return
    this.#fadedAt = now
    this.#recentCount = 0
    for (const [bucket, count] of this.#recent.entries()) {
      const kept = count / 2 ** halvings
      this.#recent[bucket] = kept
      this.#recentCount += kept
    }
  }
}

/** Index of the first bucket whose bound is not smaller; one past the last bound for what is slower than all. */
export function latencyBucket(milliseconds: number): number {
  if (milliseconds <= 1) return 0
  let bucket = Math.min(latencyBoundsMs.length, Math.ceil(Math.log(milliseconds) * perLogarithm))
  // The logarithm is off by a rounding at the bounds themselves.
  if (milliseconds <= (latencyBoundsMs[bucket - 1] ?? 0)) bucket -= 1
  else if (milliseconds > (latencyBoundsMs[bucket] ?? Number.POSITIVE_INFINITY)) bucket += 1
  return bucket
}
