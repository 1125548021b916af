import type { Clock } from './clock.ts'

/** A clock for tests, which stands still until it is moved. */
export type ManualClock = Clock & {
  /** Moves on, letting timers that fall due call back at their own time, and what waits for them run. */
  advance(milliseconds: number): Promise<void>
  /** Timers that wait. */
  readonly pending: number
}

/** Makes a clock that begins at `start`, milliseconds since 1970. */
export function createManualClock(start = 1_700_000_000_000): ManualClock {
  let elapsed = 0
  let order = 0
  const timers = new Map<number, { at: number; callback: () => void }>()

  /** Lets promises and what they start settle. */
  async function settle(): Promise<void> {
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
  }

  function nextDue(until: number): number | undefined {
    let due: number | undefined
    for (const [id, { at }] of timers) {
      if (at <= until && (due === undefined || at < (timers.get(due)?.at ?? 0))) due = id
    }
    return due
  }

  return {
    now: () => start + elapsed,
    monotonic: () => elapsed,
    after(milliseconds, callback) {
      const id = ++order
      timers.set(id, { at: elapsed + Math.max(0, milliseconds), callback })
      return () => timers.delete(id)
    },
    get pending() {
      return timers.size
    },
    async advance(milliseconds) {
      const until = elapsed + milliseconds
      await settle()
      for (let due = nextDue(until); due !== undefined; due = nextDue(until)) {
        const timer = timers.get(due)
        timers.delete(due)
        elapsed = Math.max(elapsed, timer?.at ?? elapsed)
        timer?.callback()
        await settle()
      }
      elapsed = until
    },
  }
}
