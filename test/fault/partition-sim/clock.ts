import type { Now } from '@hansa/operator/grant/timing.ts'

const start = Date.UTC(2026, 0, 1)

/** Clocks of one owner's machines: they run at a wrong rate, and the wall clock jumps. */
export class Clock {
  readonly #rate: number
  #offsetMs: number

  constructor(driftPpm: number, offsetMs: number) {
    this.#rate = 1 + driftPpm / 1_000_000
    this.#offsetMs = offsetMs
  }

  /** What a process that began at `sinceMs` (true time) reads at `trueMs`. */
  read(trueMs: number, sinceMs = 0): Now {
    return {
      wallMs: Math.round(start + this.#offsetMs + trueMs * this.#rate),
      monotonicMs: (trueMs - sinceMs) * this.#rate,
    }
  }

  /** True milliseconds that pass while this clock counts `ms`. */
  lasts(ms: number): number {
    return ms / this.#rate
  }

  jump(ms: number): void {
    this.#offsetMs += ms
  }

  /** What a time server does: at `trueMs` the wall clock is right. */
  correct(trueMs: number): void {
    this.#offsetMs = trueMs - trueMs * this.#rate
  }
}
