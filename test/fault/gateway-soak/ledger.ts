/** How one request ended for its client: a status in words (`200`, `grpc 14`, `aborted`), or `nothing` when none came. */
export type Outcome = string

type Entry = { kind: string; beganAt: number; outcomes: Outcome[] }

/** The client's own account: every request that was begun, and every ending it saw. Exactly one each is what is promised. */
export class Ledger {
  #next = 0
  readonly #open = new Map<number, Entry>()
  readonly #counts = new Map<string, number>()
  readonly #wrong: string[] = []
  readonly #isExpected: (kind: string, outcome: Outcome, beganAt: number) => boolean

  constructor(isExpected: (kind: string, outcome: Outcome, beganAt: number) => boolean) {
    this.#isExpected = isExpected
  }

  /** Begins a request; the returned function tells of an ending, and a second one is a fault. */
  begin(kind: string, now: number): (outcome: Outcome) => void {
    const id = this.#next
    this.#next += 1
    const entry: Entry = { kind, beganAt: now, outcomes: [] }
    this.#open.set(id, entry)
    return (outcome) => {
      entry.outcomes.push(outcome)
      this.#open.delete(id)
      if (entry.outcomes.length > 1) {
        this.#wrong.push(`${kind} ended twice: ${entry.outcomes.join(', ')}`)
        return
      }
      const key = `${kind}: ${outcome}`
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
      if (!this.#isExpected(kind, outcome, entry.beganAt)) this.#wrong.push(`${kind} ended with ${outcome}`)
    }
  }

  get begun(): number {
    return this.#next
  }

  /** Requests that have not ended, by kind. */
  unended(): string[] {
    return [...this.#open.values()].map(({ kind }) => kind)
  }

  /** Endings that were not allowed, and requests that ended twice. */
  get wrong(): readonly string[] {
    return this.#wrong
  }

  counts(): [string, number][] {
    return [...this.#counts].sort(([a], [b]) => a.localeCompare(b))
  }
}
