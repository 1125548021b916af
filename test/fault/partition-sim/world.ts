/** A rule of the protocol was broken in a run. */
export class Violation extends Error {
  readonly check: string
  constructor(check: string, message: string) {
    super(`${check}: ${message}`)
    this.check = check
  }
}

type Event = { readonly atMs: number; readonly order: number; readonly happen: () => void }

/** True time, a queue of events, seeded randomness, a trace and counters: all that a run consists of. */
export class World {
  nowMs = 0
  /** Faults so far; to know whether one came in between. */
  faults = 0
  readonly trace: string[] = []
  readonly counts = new Map<string, number>()
  readonly #queue: Event[] = []
  #order = 0
  #state: number
  readonly #keepsTrace: boolean

  constructor(seed: number, keepsTrace: boolean) {
    this.#state = seed | 0
    this.#keepsTrace = keepsTrace
  }

  /** Uniform in [0, 1): mulberry32. */
  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }

  between(least: number, most: number): number {
    return least + this.random() * (most - least)
  }

  happens(permille: number): boolean {
    return permille > 0 && this.random() * 1_000 < permille
  }

  after(ms: number, happen: () => void): void {
    this.#push({ atMs: this.nowMs + Math.max(0, ms), order: this.#order++, happen })
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }

  note(line: () => string): void {
    if (this.#keepsTrace) this.trace.push(`${(this.nowMs / 1_000).toFixed(3).padStart(9)}s ${line()}`)
  }

  run(untilMs: number): void {
    for (let next = this.#queue[0]; next !== undefined && next.atMs <= untilMs; next = this.#queue[0]) {
      this.#pop()
      this.nowMs = next.atMs
      next.happen()
    }
    this.nowMs = untilMs
  }

  #push(event: Event): void {
    const queue = this.#queue
    let at = queue.push(event) - 1
    while (at > 0) {
      const up = (at - 1) >> 1
      const parent = queue[up]
      if (parent === undefined || before(parent, event)) break
      queue[at] = parent
      queue[up] = event
      at = up
    }
  }

  #pop(): void {
    const queue = this.#queue
    const last = queue.pop()
    if (last === undefined || queue.length === 0) return
    queue[0] = last
    for (let at = 0; ; ) {
      let least = at
      for (const child of [2 * at + 1, 2 * at + 2]) {
        const a = queue[child]
        const b = queue[least]
        if (a !== undefined && b !== undefined && before(a, b)) least = child
      }
      const down = queue[least]
      if (least === at || down === undefined) return
      queue[at] = down
      queue[least] = last
      at = least
    }
  }
}

function before(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
