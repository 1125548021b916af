/** Growing pauses with jitter. */
export type Backoff = {
  /** The next pause in milliseconds. */
  next(): number
  reset(): void
}

/** Pauses of `first`, twice as long each time up to `longest` milliseconds, each stretched at random by up to a half. */
export function createBackoff(first: number, longest: number, random: () => number): Backoff {
  let pause = first
  return {
    next() {
      const now = pause
      pause = Math.min(longest, pause * 2)
      return Math.min(longest, now * (1 + 0.5 * random()))
    },
    reset() {
      pause = first
    },
  }
}
