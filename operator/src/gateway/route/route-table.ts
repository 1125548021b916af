import type { buildConnector } from 'undici'
import type { RouteDemand } from '../demand/route-demand.ts'
import type { WorkerSessions } from '../grpc/worker-sessions.ts'
import type { HoldDeps } from '../hold/hold-queue.ts'
import type { PeerLines } from '../work/peer-worker.ts'
import { Route, type RouteDeps } from './route.ts'
import { type RouteSpec, routeKey } from './route-spec.ts'
import type { Upstream } from './upstream.ts'
import type { WorkerDeps } from './worker.ts'

export type RouteTableDeps = Omit<WorkerDeps, 'connect' | 'openSessions'> & {
  /** Undefined where no owners are joined. */
  peers?: PeerLines | undefined
  hold: HoldDeps
  connectorFor: (namespace: string, service: string) => buildConnector.connector
  /** Makes the gRPC connections to one worker of a service. */
  sessionsFor: (namespace: string, service: string, address: string) => WorkerSessions
  /** Told of errors of connections that are being closed; nothing depends on them any more. */
  onRetireError: (error: unknown) => void
  /** Told of each service that is gone. */
  onRemoved: (namespace: string, service: string) => void
}

const maxRemembered = 1000
const longestTimerMs = 3_600_000

/** All services that this gateway serves. */
export class RouteTable {
  #routes = new Map<string, Route>()
  /** What was counted of services that are gone: counts that the operator reads only ever grow, also when one comes back. */
  readonly #remembered = new Map<string, RouteDemand>()
  readonly #deps: RouteTableDeps
  #cancelLeaseEnd: (() => void) | undefined

  constructor(deps: RouteTableDeps) {
    this.#deps = deps
  }

  get(namespace: string, service: string): Route | undefined {
    return this.#routes.get(routeKey(namespace, service))
  }

  list(): Iterable<Route> {
    return this.#routes.values()
  }

  /** Makes the table as `specs` say. */
  replace(specs: readonly RouteSpec[]): void {
    const before = this.#routes
    this.#routes = new Map()
    for (const spec of specs) {
      const key = routeKey(spec.namespace, spec.service)
      const route = before.get(key)
      before.delete(key)
      if (route !== undefined) this.#retire(route.update(spec))
      this.#routes.set(
        key,
        route ?? new Route(spec, this.#workerDeps(spec), this.#deps.hold, this.#remembered.get(key)),
      )
      this.#remembered.delete(key)
    }
    for (const route of before.values()) {
      this.#retire(route.update({ ...route.spec, suspended: true }))
      this.#remember(route)
      this.#deps.onRemoved(route.spec.namespace, route.spec.service)
    }
    this.#awaitLeaseEnd()
  }

  /** Closes guests' routes when their leases end, whether or not the API server is there to say anything. */
  #awaitLeaseEnd(): void {
    this.#cancelLeaseEnd?.()
    let soonest = Number.POSITIVE_INFINITY
    for (const route of this.#routes.values()) {
      const left = route.leaseLeft
      // Asked once: a lease that ends between two looks must be seen by one of them.
      if (left === 0 && route.allWorkers.length > 0) this.#retire(route.update(route.spec))
      else if (left !== undefined && left > 0) soonest = Math.min(soonest, left)
    }
    if (soonest === Number.POSITIVE_INFINITY) return
    this.#cancelLeaseEnd = this.#deps.hold.clock.after(Math.min(longestTimerMs, soonest), () => this.#awaitLeaseEnd())
  }

  /** Ends the wait of all requests that wait for a service to wake. */
  refuseHeld(): void {
    for (const { hold } of this.#routes.values()) hold.refuseAll('draining')
  }

  async destroy(): Promise<void> {
    this.#cancelLeaseEnd?.()
    await Promise.allSettled(
      [...this.#routes.values()].flatMap(({ allWorkers }) => allWorkers.map((worker) => worker.destroy())),
    )
  }

  #workerDeps({ namespace, service }: RouteSpec): RouteDeps {
    const { port, now, random, peers, connectorFor, sessionsFor } = this.#deps
    return {
      port,
      now,
      random,
      peers,
      connect: connectorFor(namespace, service),
      openSessions: (address) => sessionsFor(namespace, service, address),
    }
  }

  #remember({ key, demand }: Route): void {
    this.#remembered.set(key, demand)
    const [oldest] = this.#remembered.keys()
    if (this.#remembered.size > maxRemembered && oldest !== undefined) this.#remembered.delete(oldest)
  }

  #retire(workers: readonly Upstream[]): void {
    for (const worker of workers) worker.retire().catch(this.#deps.onRetireError)
  }
}
