/** What the two clocks of a process say at one moment. */
export type Now = {
  /** Milliseconds since 1970; may jump. */
  readonly wallMs: number
  /** Milliseconds since some start; never goes back, and means nothing after a restart. */
  readonly monotonicMs: number
}

/** Constants of the lease protocol (ADR 21). Both sides of a lease use the same. */
export type LeaseTiming = {
  /**
   * By how much the requester waits longer than the time to live. Two clocks that each run wrong by at most r are safe while
   * (1 + r) / (1 - r) <= 1 + drift: 1% allows 4,975 ppm each, some ten times what a quartz does.
   */
  readonly drift: number
  /** Share of the time to live after which the executor asks for a renewal. */
  readonly askAfter: number
  /** Share of the time to live after which an unanswered ask is followed by a fresh one. */
  readonly askAgainAfter: number
  /** Share of the time to live without a word of the executor after which the requester calls a lease Uncertain. */
  readonly uncertainAfter: number
}

export const leaseTiming: LeaseTiming = { drift: 0.01, askAfter: 1 / 3, askAgainAfter: 1 / 6, uncertainAfter: 2 / 3 }

/** How long a lease of the executor may last by the requester's clock, from the moment it signed: TTL x (1 + drift). */
export function longestMs(ttlSeconds: number, timing: LeaseTiming = leaseTiming): number {
  return Math.ceil(ttlSeconds * 1_000 * (1 + timing.drift))
}

/** RFC 3339 with milliseconds, as the lease fields are written. */
export function dateTime(wallMs: number): string {
  return new Date(wallMs).toISOString()
}
