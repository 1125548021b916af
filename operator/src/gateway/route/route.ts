import type { Principal } from '../auth/principal.ts'
import { pickWorker } from './pick-worker.ts'
import { RetryBudget } from './retry-budget.ts'
import { type Endpoint, type RouteSpec, routeKey } from './route-spec.ts'
import { Worker, type WorkerDeps } from './worker.ts'

/** One service as it is served now: its settings, its workers, and what is under way. */
export class Route {
  readonly key: string
  spec: RouteSpec
  inFlight = 0
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
        const worker = before.get(id) ?? new Worker(endpoint, this.#deps)
        worker.endpoint = endpoint
        before.delete(id)
        return [id, worker]
      }),
    )
    this.#list = [...this.#workers.values()]
    return [...before.values()]
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
