import type { Principal } from '../auth/principal.ts'
import { RouteDemand } from '../demand/route-demand.ts'
import { pickWorker } from './pick-worker.ts'
import { RetryBudget } from './retry-budget.ts'
import { type Endpoint, type RouteSpec, routeKey } from './route-spec.ts'
import { Worker, type WorkerDeps } from './worker.ts'

/** One service as it is served now: its settings, its workers, and what is under way. */
export class Route {
  readonly key: string
  spec: RouteSpec
  readonly demand = new RouteDemand()
  readonly budget: RetryBudget
  #workers = new Map<string, Worker>()
  #list: Worker[] = []
  #serviceAccounts: ReadonlySet<string> = new Set()
  readonly #deps: WorkerDeps

  constructor(spec: RouteSpec, deps: WorkerDeps) {
    this.key = routeKey(spec.namespace, spec.service)
    this.spec = spec
    this.#deps = deps
    this.budget = new RetryBudget(deps.now)
    this.update(spec)
  }

  /** Takes over a new spec; workers that stay keep their connections and health. Returns those that left. */
  update(spec: RouteSpec): Worker[] {
    this.spec = spec
    this.#serviceAccounts = new Set(spec.serviceAccounts)
    const before = this.#workers
    const wanted: readonly Endpoint[] = spec.suspended ? [] : spec.endpoints
    this.#workers = new Map(
      wanted.map((endpoint) => {
        const id = `${endpoint.pod} ${endpoint.address}`
        const counts = this.demand.revision(endpoint.revision, this.#deps.now())
        const worker = before.get(id) ?? new Worker(endpoint, counts, this.#deps)
        worker.endpoint = endpoint
        worker.counts = counts
        before.delete(id)
        return [id, worker]
      }),
    )
    this.#list = [...this.#workers.values()]
    return [...before.values()]
  }

  /** Requests that were let in and have no answer yet. */
  get inFlight(): number {
    return this.demand.inFlight
  }

  /** A request was let in; `leave` follows exactly once. */
  enter(): void {
    this.demand.enter(this.#deps.now())
  }

  leave(): void {
    this.demand.leave(this.#deps.now())
  }

  get workers(): readonly Worker[] {
    return this.#list
  }

  pick(tried: readonly Worker[]): Worker | undefined {
    return pickWorker(this.#list, tried, this.#deps.random)
  }

  /** Default deny: only who `spec.access` lists. */
  allows(principal: Principal): boolean {
    if (principal.kind === 'serviceAccount')
      return this.#serviceAccounts.has(`${principal.namespace}:${principal.name}`)
    return this.spec.oidc.some(
      ({ issuerName, subjects, groups }) =>
        issuerName === principal.issuerName &&
        (subjects.includes(principal.subject) || groups.some((group) => principal.groups.includes(group))),
    )
  }
}
