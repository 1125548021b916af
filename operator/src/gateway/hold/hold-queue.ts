import type { Clock } from '../../kube/clock.ts'
import type { ByteBudget } from './byte-budget.ts'

/** How the wait of a request ended. `retryAfterSeconds` is what a refused caller should be told. */
export type HoldEnd =
  | { released: true; heldMs: number }
  | { released: false; reason: HoldRefusal; heldMs: number; retryAfterSeconds: number }

/** `full`: too many wait; `waited`: nobody woke in time; `closed`: suspended or deleted; `draining`: this gateway ends. */
export type HoldRefusal = 'full' | 'waited' | 'closed' | 'draining'

/** What the queue needs to know of the service that it stands before. */
export type HeldService = {
  /** Most requests that may wait. */
  readonly maxHeld: number
  /** Whether any worker is routable now. */
  readonly isAwake: boolean
  /** How many requests the workers' queues take now. */
  freePlaces(): number
  /** Told of every change of the number that waits. */
  onHeld(count: number): void
}

export type HoldDeps = {
  clock: Clock
  /** Bodies of waiting requests that are in memory, all services together. */
  bytes: ByteBudget
  /** A request begins to wait: the operator should hear of it at once. */
  onWaiting: () => void
}

type Entry = {
  caller: string
  since: number
  bytes: number
  done: (end: HoldEnd) => void
  cancelTimer: () => void
}

// Catches what no event tells: ejections that end, queues of workers that other gateways had filled.
const pollMs = 100
const firstGuessMs = 5000

/**
 * Requests that wait for a service to wake. They are let go caller by caller in turn, first come first served within a caller, and
 * no more at a time than the workers' queues take, so that a burst does not end in refusals by a cold worker.
 */
export class HoldQueue {
  /** Each caller's line; the order of the callers is the order of their turns. */
  readonly #lines = new Map<string, Set<Entry>>()
  #size = 0
  #promised = 0
  #cancelPoll: (() => void) | undefined
  #pumping = false
  #wakingSince: number | undefined
  #wakeMs: number | undefined
  readonly #service: HeldService
  readonly #deps: HoldDeps

  constructor(service: HeldService, deps: HoldDeps) {
    this.#service = service
    this.#deps = deps
  }

  get size(): number {
    return this.#size
  }

  /**
   * Lines up. `done` is called exactly once unless the returned function, which gives the place back, is called first; it may be
   * called before `wait` returns. `until` is in monotonic milliseconds, `bytes` what of the request is in memory meanwhile.
   */
  wait(request: { caller: string; until: number; bytes: number }, done: (end: HoldEnd) => void): () => void {
    const { clock, bytes } = this.#deps
    const now = clock.monotonic()
    const refused = this.#size >= this.#service.maxHeld || !bytes.take(request.bytes)
    if (refused) {
      done({ released: false, reason: 'full', heldMs: 0, retryAfterSeconds: this.retryAfterSeconds() })
      return () => {}
    }
    if (!this.#service.isAwake) this.#wakingSince ??= now
    const entry: Entry = {
      caller: request.caller,
      since: now,
      bytes: request.bytes,
      done,
      cancelTimer: clock.after(Math.max(0, request.until - now), () => this.#refuse(entry, 'waited')),
    }
    const line = this.#lines.get(entry.caller)
    if (line === undefined) this.#lines.set(entry.caller, new Set([entry]))
    else line.add(entry)
    this.#resize(1)
    this.#cancelPoll ??= clock.after(pollMs, this.#poll)
    this.#deps.onWaiting()
    return () => {
      this.#remove(entry)
    }
  }

  /** Something changed for the better: a worker came, or a place in a queue became free. */
  changed(): void {
    if (this.#size === 0 || this.#pumping) return
    this.#pumping = true
    // After whatever ends in this turn has given its place back.
    setImmediate(() => {
      this.#pumping = false
      this.#pump()
    })
  }

  /** Ends the wait of all. */
  refuseAll(reason: HoldRefusal): void {
    for (const line of [...this.#lines.values()]) for (const entry of [...line]) this.#refuse(entry, reason)
  }

  /** How long a wake-up still takes, by those of lately; at least a second. */
  retryAfterSeconds(): number {
    const waited = this.#wakingSince === undefined ? 0 : this.#deps.clock.monotonic() - this.#wakingSince
    const expected = this.#service.isAwake ? 0 : (this.#wakeMs ?? firstGuessMs) - waited
    return Math.max(1, Math.ceil(expected / 1000))
  }

  readonly #poll = () => {
    this.#cancelPoll = undefined
    this.#pump()
    if (this.#size > 0) this.#cancelPoll ??= this.#deps.clock.after(pollMs, this.#poll)
  }

  #pump(): void {
    if (!this.#service.isAwake) return
    let free = this.#service.freePlaces() - this.#promised
    if (free > 0) this.#woke()
    while (free > 0) {
      const entry = this.#next()
      if (entry === undefined) return
      free -= 1
      // Counts until the request is at a worker, which takes a turn where it is awaited.
      this.#promised += 1
      setImmediate(() => {
        this.#promised -= 1
      })
      entry.done({ released: true, heldMs: this.#deps.clock.monotonic() - entry.since })
    }
  }

  #woke(): void {
    if (this.#wakingSince === undefined) return
    const took = this.#deps.clock.monotonic() - this.#wakingSince
    this.#wakeMs = this.#wakeMs === undefined ? took : 0.7 * this.#wakeMs + 0.3 * took
    this.#wakingSince = undefined
  }

  /** Takes the first of the caller whose turn it is; that caller's next turn comes after all others'. */
  #next(): Entry | undefined {
    for (const [caller, line] of this.#lines) {
      const [entry] = line
      if (entry === undefined) continue
      this.#remove(entry)
      if (line.size > 0) {
        this.#lines.delete(caller)
        this.#lines.set(caller, line)
      }
      return entry
    }
    return undefined
  }

  #refuse(entry: Entry, reason: HoldRefusal): void {
    if (!this.#remove(entry)) return
    const heldMs = this.#deps.clock.monotonic() - entry.since
    entry.done({ released: false, reason, heldMs, retryAfterSeconds: this.retryAfterSeconds() })
  }

  #remove(entry: Entry): boolean {
    const line = this.#lines.get(entry.caller)
    if (line === undefined || !line.delete(entry)) return false
    if (line.size === 0) this.#lines.delete(entry.caller)
    entry.cancelTimer()
    this.#deps.bytes.give(entry.bytes)
    this.#resize(-1)
    return true
  }

  #resize(by: 1 | -1): void {
    this.#size += by
    this.#service.onHeld(this.#size)
    if (this.#size > 0) return
    this.#cancelPoll?.()
    this.#cancelPoll = undefined
    this.#wakingSince = undefined
  }
}
