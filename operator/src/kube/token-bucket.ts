import { type Clock, sleep } from './clock.ts'

export type TokenBucket = {
  /** Resolves when the caller may go on; throws the signal's reason when it gave up. */
  take(signal: AbortSignal): Promise<void>
  /** Takes a token if there is one. */
  tryTake(): boolean
  /** Takes a token now and returns after how many milliseconds it may be used. */
  reserve(): number
}

/** Lets through `burst` calls at once and `perSecond` over time, first come, first served. */
export function createTokenBucket(clock: Clock, perSecond: number, burst: number): TokenBucket {
  let tokens = burst
  let countedAt = clock.monotonic()

  function refill(): void {
    const now = clock.monotonic()
    tokens = Math.min(burst, tokens + ((now - countedAt) / 1_000) * perSecond)
    countedAt = now
  }

  function reserve(): number {
    refill()
    tokens -= 1
    // A negative count is the queue: each waiter knows how long those before it will take.
    return tokens >= 0 ? 0 : (-tokens / perSecond) * 1_000
  }

  return {
    reserve,
    async take(signal) {
      signal.throwIfAborted()
      const wait = reserve()
      if (wait === 0) return
      await sleep(clock, wait, signal)
      if (!signal.aborted) return
      tokens += 1
      throw signal.reason
    },
    tryTake() {
      refill()
      if (tokens < 1) return false
      tokens -= 1
      return true
    },
  }
}
