/** What a request that finds a session idle may expect: how many are usually under way at once, waiting ones included. */
export type Company = {
  /** To be called with the count of requests under way whenever a run starts. */
  started(underWay: number): void
  /** To be called with the time that a run took, hand-over included. */
  ran(milliseconds: number): void
  /** Whether more are likely to come soon, so that waiting a little is worth it. */
  expectsMore(underWay: number): boolean
  /** How long waiting may pay, in milliseconds. */
  readonly worthMilliseconds: number
}

const remembered = 8
const forgetMs = 1000
/** Timers are no finer. */
const leastMs = 1

/**
 * Expected is the most that were under way at one of the last eight starts; after a second without a start it is forgotten.
 * So a lone caller never waits, one that became lone waits eight times at most, and nobody waits any longer once all who
 * usually call are there. Waiting pays no longer than a run takes, in which the queue fills as well; and where a run takes less than
 * a millisecond not at all.
 */
export function createCompany(now: () => number): Company {
  let counts: number[] = []
  let lastAt = Number.NEGATIVE_INFINITY
  let runMs: number | undefined
  return {
    started: (underWay) => {
      const at = now()
      if (at - lastAt > forgetMs) counts = []
      lastAt = at
      counts.push(underWay)
      if (counts.length > remembered) counts.shift()
    },
    ran: (milliseconds) => {
      runMs = runMs === undefined ? milliseconds : runMs + (milliseconds - runMs) / remembered
    },
    get worthMilliseconds() {
      if (runMs === undefined) return Number.POSITIVE_INFINITY
      return runMs < leastMs ? 0 : runMs
    },
    expectsMore: (underWay) => now() - lastAt <= forgetMs && counts.some((count) => count > underWay),
  }
}
