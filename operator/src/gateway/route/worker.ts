import type { buildConnector, Dispatcher } from 'undici'
import { Pool } from 'undici'
import type { RevisionCounts } from '../demand/revision-counts.ts'
import type { WorkerSessions } from '../grpc/worker-sessions.ts'
import type { Endpoint } from './route-spec.ts'

export type WorkerDeps = {
  connect: buildConnector.connector
  port: number
  /** Connections for gRPC to a worker's address. */
  openSessions: (address: string) => WorkerSessions
  /** Monotonic milliseconds. */
  now: () => number
  random: () => number
}

/** How an attempt ended, as far as the health of the worker is concerned. */
export type AttemptResult = 'answered' | 'serverError' | 'unreachable' | 'broken' | 'draining' | 'undecided'

const ejectAfter = { unreachable: 1, broken: 2, serverError: 5 }
const firstEjectionMs = 1000
const longestEjectionMs = 30_000
const fullMs = 100
const drainingMs = 10_000

/** One worker pod: its connections, what is under way, and what its answers say of its health (passive checks). */
export class Worker {
  endpoint: Endpoint
  /** Where what its revision does is counted. */
  counts: RevisionCounts
  outstanding = 0
  ejectedUntil = 0
  #fullUntil = 0
  #fullAt = 0
  #pool: Pool | undefined
  #sessions: WorkerSessions | undefined
  #failures = 0
  #ejections = 0
  readonly #deps: WorkerDeps

  constructor(endpoint: Endpoint, counts: RevisionCounts, deps: WorkerDeps) {
    this.endpoint = endpoint
    this.counts = counts
    this.#deps = deps
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.#pool ??= this.#open()
    this.#pool.dispatch(options, handler)
  }

  get grpc(): WorkerSessions {
    this.#sessions ??= this.#deps.openSessions(this.endpoint.address)
    return this.#sessions
  }

  isEjected(): boolean {
    return this.ejectedUntil > this.#deps.now()
  }

  /** Its queue was full a moment ago. */
  isFull(): boolean {
    return this.#fullUntil > this.#deps.now()
  }

  /** It would refuse one more request now: its queue was full a moment ago, and no request of ours has left it since. */
  isSaturated(): boolean {
    return this.isFull() && this.outstanding >= this.#fullAt
  }

  /** It answered 429 to one request while it had `others` of ours: waiting requests had better wait a little longer. */
  recordFull(others: number): void {
    // The least of a burst of refusals; never none, since the last answer under way must make room for a next request.
    this.#fullAt = Math.max(1, this.isFull() ? Math.min(this.#fullAt, others) : others)
    this.#fullUntil = this.#deps.now() + fullMs * (0.75 + 0.5 * this.#deps.random())
  }

  record(result: AttemptResult): void {
    if (result === 'undecided') return
    if (result === 'answered') {
      this.#failures = 0
      this.#ejections = 0
      this.ejectedUntil = 0
      return
    }
    if (result === 'draining') {
      this.ejectedUntil = this.#deps.now() + drainingMs
      return
    }
    this.#failures += 1
    if (this.#failures < ejectAfter[result] || this.isEjected()) return
    const backoff = Math.min(longestEjectionMs, firstEjectionMs * 2 ** this.#ejections)
    this.ejectedUntil = this.#deps.now() + backoff * (0.75 + 0.5 * this.#deps.random())
    this.#ejections = Math.min(this.#ejections + 1, 10)
    this.#failures = 0
  }

  /** Lets what is under way finish; the request deadlines bound how long that takes. */
  async retire(): Promise<void> {
    this.#sessions?.retire()
    await this.#pool?.close()
  }

  async destroy(): Promise<void> {
    this.#sessions?.destroy()
    await this.#pool?.destroy()
  }

  #open(): Pool {
    const { address } = this.endpoint
    const host = address.includes(':') ? `[${address}]` : address
    return new Pool(`https://${host}:${this.#deps.port}`, {
      connect: this.#deps.connect,
      connections: 1024,
      pipelining: 1,
      allowH2: false,
      // The gateway's own deadline covers the whole exchange.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: 30_000,
      keepAliveMaxTimeout: 300_000,
      maxHeaderSize: 16 * 1024,
      // A connection outlives neither side's certificate by much.
      clientTtl: 3_600_000,
    })
  }
}
