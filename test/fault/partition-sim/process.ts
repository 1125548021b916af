import type { Now } from '@hansa/operator/grant/timing.ts'
import type { Clock } from './clock.ts'
import { Conflict, type Store, type View } from './store.ts'
import type { World } from './world.ts'

/** One pass of a controller: each yielded function is a write at the API server; returns when to look again. */
export type Pass = Generator<() => void, number, void>

export type Fault = 'CrashBefore' | 'CrashAfter' | 'LoseReply'

class ReplyLost extends Error {}

/** An operator's process: passes with an await at each write, between which it may crash, pause, or lose a reply. */
export class Process<M> {
  up = false
  bootMs = 0
  /** Drawn at each start: what its Confirmations ask. */
  nonce = ''
  memory: M
  readonly #world: World
  readonly #name: string
  readonly #store: Store
  readonly #clock: Clock
  readonly #fresh: () => M
  readonly #pass: (view: View, process: Process<M>) => Pass
  #life = 0
  #busy = false
  #again = false
  #timer = 0
  #armed: { fault: Fault; downMs: number } | undefined
  #pausedUntilMs = 0

  constructor(options: {
    world: World
    name: string
    store: Store
    clock: Clock
    fresh: () => M
    pass: (view: View, process: Process<M>) => Pass
  }) {
    this.#world = options.world
    this.#name = options.name
    this.#store = options.store
    this.#clock = options.clock
    this.#fresh = options.fresh
    this.#pass = options.pass
    this.memory = options.fresh()
  }

  now(): Now {
    return this.#clock.read(this.#world.nowMs, this.bootMs)
  }

  start(): void {
    if (this.up) return
    this.up = true
    this.bootMs = this.#world.nowMs
    this.memory = this.#fresh()
    this.nonce = `${this.#name}-start-${this.#life}`
    this.#world.note(() => `${this.#name} operator starts`)
    this.wake()
  }

  crash(downMs: number): void {
    if (!this.up) return
    this.up = false
    this.#life++
    this.#busy = false
    this.#again = false
    this.#armed = undefined
    this.#world.note(() => `${this.#name} operator crashes`)
    const life = this.#life
    this.#world.after(downMs, () => {
      if (this.#life === life) this.start()
    })
  }

  /** The next write meets this fault. */
  arm(fault: Fault, downMs: number): void {
    this.#armed = { fault, downMs }
  }

  get isPaused(): boolean {
    return this.#world.nowMs < this.#pausedUntilMs
  }

  pause(ms: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#world.nowMs + ms)
  }

  wake(afterMs = this.#world.between(2, 30)): void {
    if (!this.up) return
    if (this.#busy) {
      this.#again = true
      return
    }
    const timer = ++this.#timer
    const life = this.#life
    this.#world.after(afterMs, () => {
      if (this.#life === life && this.#timer === timer && this.up && !this.#busy) this.#begin()
    })
  }

  #begin(): void {
    if (this.#world.nowMs < this.#pausedUntilMs) {
      this.wake(this.#pausedUntilMs - this.#world.nowMs)
      return
    }
    this.#busy = true
    // A cache that is behind catches up later and then says so.
    const isStale = this.#world.happens(100)
    this.#again = isStale
    this.#step(this.#pass(this.#store.view(isStale ? this.#world.between(1, 400) : 0), this), undefined)
  }

  #step(pass: Pass, problem: Error | undefined): void {
    let next: IteratorResult<() => void, number>
    try {
      next = problem === undefined ? pass.next() : pass.throw(problem)
    } catch (error) {
      if (!(error instanceof Conflict) && !(error instanceof ReplyLost)) throw error
      this.#rest(this.#world.between(20, 200))
      return
    }
    if (next.done) {
      this.#rest(next.value)
      return
    }
    const write = next.value
    const life = this.#life
    const wait = Math.max(this.#pausedUntilMs - this.#world.nowMs, 0) + this.#world.between(2, 40)
    this.#world.after(wait, () => {
      if (this.#life === life) this.#step(pass, this.#perform(write, life))
    })
  }

  #perform(write: () => void, life: number): Error | undefined {
    const armed = this.#armed
    this.#armed = undefined
    if (armed?.fault === 'CrashBefore') {
      this.#world.count('crash before a write')
      this.crash(armed.downMs)
      return new ReplyLost()
    }
    try {
      write()
    } catch (error) {
      if (error instanceof Conflict) return error
      throw error
    }
    if (armed?.fault === 'CrashAfter' && this.#life === life) {
      this.#world.count('crash after a write')
      this.crash(armed.downMs)
      return new ReplyLost()
    }
    if (armed?.fault === 'LoseReply') {
      this.#world.count('reply of the API server lost')
      return new ReplyLost()
    }
    return undefined
  }

  #rest(afterMs: number): void {
    this.#busy = false
    if (!this.up) return
    this.wake(this.#again ? this.#world.between(2, 30) : Math.min(Math.max(1, this.#clock.lasts(afterMs)), 3_600_000))
  }
}
