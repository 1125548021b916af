import { type Clock, systemClock } from './clock.ts'
import { createTokenBucket } from './token-bucket.ts'

export type WorkQueue = {
  /** Asks for work on a key; once, however often it is asked for before the work begins. */
  add(key: string): void
  /** The same after a while; of several times the earliest counts. */
  addAfter(key: string, milliseconds: number): void
  /**
   * The same after a pause that doubles with each call for the key, until `forget`; it begins with `first` (5) milliseconds, and
   * is at least as long as told.
   */
  addRateLimited(key: string, pause?: { leastMilliseconds?: number; firstMilliseconds?: number }): void
  /** The key has succeeded: its next failure begins with the shortest pause again. */
  forget(key: string): void
  /** Waits for a key that nobody works on; undefined once the queue is shut down. Call `done` when finished. */
  take(): Promise<string | undefined>
  done(key: string): void
  /** Keys that wait, without those due later. */
  readonly depth: number
  /** Hands out no more keys; resolves when all work under way is done. */
  shutDown(): Promise<void>
}

// client-go's numbers.
const firstPauseMilliseconds = 5
const longestPauseMilliseconds = 1_000_000
const retriesPerSecond = 10
const retryBurst = 100

/**
 * Makes a queue that never hands out a key twice at once. Where `groupOf` is given, groups are served in turn: whoever has a thousand
 * keys waiting holds up nobody who has one.
 */
export function createWorkQueue(clock: Clock = systemClock, groupOf: (key: string) => string = () => ''): WorkQueue {
  const waiting = createFairLine(groupOf)
  const working = new Set<string>()
  // Asked for again while being worked on.
  const again = new Set<string>()
  const later = new Map<string, { at: number; cancel: () => void }>()
  const failures = new Map<string, number>()
  const takers: ((key: string | undefined) => void)[] = []
  const bucket = createTokenBucket(clock, retriesPerSecond, retryBurst)
  const drained = Promise.withResolvers<void>()
  let closed = false

  function add(key: string): void {
    if (closed) return
    if (working.has(key)) {
      again.add(key)
      return
    }
    const taker = takers.shift()
    if (taker === undefined) {
      waiting.add(key)
      return
    }
    working.add(key)
    taker(key)
  }

  function addAfter(key: string, milliseconds: number): void {
    if (closed) return
    if (milliseconds <= 0) {
      add(key)
      return
    }
    const at = clock.monotonic() + milliseconds
    const pending = later.get(key)
    if (pending !== undefined && pending.at <= at) return
    pending?.cancel()
    // setTimeout takes 31 bits and fires at once for more.
    const cancel = clock.after(Math.min(milliseconds, 2_147_483_647), () => {
      later.delete(key)
      add(key)
    })
    later.set(key, { at, cancel })
  }

  return {
    add,
    addAfter,
    addRateLimited(key, { leastMilliseconds = 0, firstMilliseconds = firstPauseMilliseconds } = {}) {
      const failed = failures.get(key) ?? 0
      failures.set(key, failed + 1)
      const own = Math.min(longestPauseMilliseconds, firstMilliseconds * 2 ** Math.min(failed, 40))
      addAfter(key, Math.max(own, bucket.reserve(), leastMilliseconds))
    },
    forget: (key) => void failures.delete(key),
    take() {
      if (closed) return Promise.resolve(undefined)
      const key = waiting.shift()
      if (key === undefined) return new Promise((resolve) => takers.push(resolve))
      working.add(key)
      return Promise.resolve(key)
    },
    done(key) {
      working.delete(key)
      if (again.delete(key)) add(key)
      if (closed && working.size === 0) drained.resolve()
    },
    get depth() {
      return waiting.size + again.size
    },
    shutDown() {
      closed = true
      for (const { cancel } of later.values()) cancel()
      later.clear()
      waiting.clear()
      again.clear()
      for (const taker of takers.splice(0)) taker(undefined)
      if (working.size === 0) drained.resolve()
      return drained.promise
    },
  }
}

type FairLine = { add(key: string): void; shift(): string | undefined; clear(): void; readonly size: number }

/** Keys in the order of their coming, each once; of several groups one key in turn. */
function createFairLine(groupOf: (key: string) => string): FairLine {
  const groups = new Map<string, Set<string>>()
  // A key's group may change while it waits.
  const groupOfWaiting = new Map<string, string>()
  return {
    add(key) {
      if (groupOfWaiting.has(key)) return
      const group = groupOf(key)
      groupOfWaiting.set(key, group)
      const line = groups.get(group)
      if (line === undefined) groups.set(group, new Set([key]))
      else line.add(key)
    },
    shift() {
      for (const [group, line] of groups) {
        // Behind all others, if it has more.
        groups.delete(group)
        for (const key of line) {
          line.delete(key)
          if (line.size > 0) groups.set(group, line)
          groupOfWaiting.delete(key)
          return key
        }
      }
      return undefined
    },
    clear() {
      groups.clear()
      groupOfWaiting.clear()
    },
    get size() {
      return groupOfWaiting.size
    },
  }
}
