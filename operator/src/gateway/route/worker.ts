import type { buildConnector, Dispatcher } from 'undici'
import { Pool } from 'undici'
import { ownName } from '../../api/placement.ts'
import type { RevisionCounts } from '../demand/revision-counts.ts'
import type { WorkerSessions } from '../grpc/worker-sessions.ts'
import type { Endpoint } from './route-spec.ts'
import { type HealthDeps, Upstream, type UpstreamRequest } from './upstream.ts'

export type WorkerDeps = HealthDeps & {
  connect: buildConnector.connector
  port: number
  /** Connections for gRPC to a worker's address. */
  openSessions: (address: string) => WorkerSessions
}

/** One worker pod and the connections to it. */
export class Worker extends Upstream {
  endpoint: Endpoint
  readonly owner = ownName
  readonly capacity = 1
  #pool: Pool | undefined
  #sessions: WorkerSessions | undefined
  readonly #deps: WorkerDeps

  constructor(endpoint: Endpoint, counts: RevisionCounts, deps: WorkerDeps) {
    super(counts, deps)
    this.endpoint = endpoint
    this.#deps = deps
  }

  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void {
    this.#pool ??= this.#open()
    // ForwardedBody is a stream of the old kind, which undici reads (core/util.js, isStream) but does not declare.
    this.#pool.dispatch(request as UpstreamRequest & { body: Buffer | null }, handler)
  }

  get grpc(): WorkerSessions {
    this.#sessions ??= this.#deps.openSessions(this.endpoint.address)
    return this.#sessions
  }

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
