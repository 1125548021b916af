import type { Dispatcher } from 'undici'
import type { RevisionCounts } from '../demand/revision-counts.ts'
import type { ForwardedBody } from '../forward/forwarded-body.ts'

/** What of an upstream the choice among all and the logs need. */
export type Place = {
  /** Pod, or the id of the request under which a peer serves. */
  readonly pod: string
  readonly revision: string
  /** Share of the requests that its revision gets; at 0 mirrored ones only. */
  readonly percent: number
}

export type UpstreamRequest = {
  path: string
  method: 'GET' | 'HEAD' | 'POST'
  /** Names and values in turn. */
  headers: string[]
  body: Buffer | ForwardedBody | null
  /** Who asks, for accounts with other owners; left out where there are none. */
  callerName?: string
}

export type HealthDeps = {
  /** Monotonic milliseconds. */
  now: () => number
  random: () => number
}

/** How an attempt ended, as far as the health of the upstream is concerned. `refused`: a peer's gateway did not take it. */
export type AttemptResult = 'answered' | 'serverError' | 'unreachable' | 'broken' | 'draining' | 'refused' | 'undecided'

const ejectAfter = { unreachable: 1, refused: 1, broken: 2, serverError: 5 }
const firstEjectionMs = 1000
const longestEjectionMs = 30_000
const fullMs = 100
const drainingMs = 10_000
// How fast a slow answer of the past is forgotten.
const latencyMemoryMs = 10_000

/** Whatever answers requests of a service: what is under way there, and what its answers say of its health (passive checks). */
export abstract class Upstream {
  abstract readonly endpoint: Place
  /** `own`, or the name of the Peer that runs it. */
  abstract readonly owner: string
  /** Workers behind it. */
  abstract readonly capacity: number
  /** Where what its revision does is counted. */
  counts: RevisionCounts
  outstanding = 0
  ejectedUntil = 0
  #refusedUntil = 0
  #fullUntil = 0
  #fullAt = 0
  #failures = 0
  #ejections = 0
  #latencyMs: number | undefined
  #latencyAt = 0
  readonly #health: HealthDeps

  constructor(counts: RevisionCounts, health: HealthDeps) {
    this.counts = counts
    this.#health = health
  }

  abstract dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void
  /** Lets what is under way finish; the request deadlines bound how long that takes. */
  abstract retire(): Promise<void>
  abstract destroy(): Promise<void>

  /** It has said no, or cannot be reached at all: it is not used even where all others are ejected. */
  isOut(): boolean {
    return this.#refusedUntil > this.#health.now()
  }

  /** It gives no sign of life now, so that what was asked there may never be answered. */
  isSilent(): boolean {
    return false
  }

  isEjected(): boolean {
    return this.ejectedUntil > this.#health.now()
  }

  /** Its queue was full a moment ago. */
  isFull(): boolean {
    return this.#fullUntil > this.#health.now()
  }

  /** It would refuse one more request now: its queue was full a moment ago, and no request of ours has left it since. */
  isSaturated(): boolean {
    return this.isFull() && this.outstanding >= this.#fullAt
  }

  /** It answered 429 to one request while it had `others` of ours: waiting requests had better wait a little longer. */
  recordFull(others: number): void {
    // The least of a burst of refusals; never none, since the last answer under way must make room for a next request.
    this.#fullAt = Math.max(1, this.isFull() ? Math.min(this.#fullAt, others) : others)
    this.#fullUntil = this.#health.now() + fullMs * (0.75 + 0.5 * this.#health.random())
  }

  record(result: AttemptResult): void {
    if (result === 'undecided') return
    if (result === 'answered') {
      this.#failures = 0
      this.#ejections = 0
      this.ejectedUntil = 0
      this.#refusedUntil = 0
      return
    }
    if (result === 'draining') {
      this.ejectedUntil = this.#health.now() + drainingMs
      return
    }
    this.#failures += 1
    if (this.#failures < ejectAfter[result] || this.isEjected()) return
    const backoff = Math.min(longestEjectionMs, firstEjectionMs * 2 ** this.#ejections)
    this.ejectedUntil = this.#health.now() + backoff * (0.75 + 0.5 * this.#health.random())
    if (result === 'refused') this.#refusedUntil = this.ejectedUntil
    this.#ejections = Math.min(this.#ejections + 1, 10)
    this.#failures = 0
  }

  /** An answer began so long after the request was there. */
  recordLatency(milliseconds: number): void {
    const now = this.#health.now()
    const before = this.latencyMs
    const keep = Math.exp(-(now - this.#latencyAt) / latencyMemoryMs)
    // A peak counts at once, what is better only bit by bit: see ADR 0026.
    this.#latencyMs = before === undefined || milliseconds > before ? milliseconds : before + milliseconds * (1 - keep)
    this.#latencyAt = now
  }

  /** What one more request would wait here, roughly; undefined where nothing is known yet. Less with time, so that it is asked again. */
  get latencyMs(): number | undefined {
    if (this.#latencyMs === undefined) return undefined
    return this.#latencyMs * Math.exp(-(this.#health.now() - this.#latencyAt) / latencyMemoryMs)
  }
}
