import { LeaseDeadline } from '../../guestlease/deadline.ts'
import { keyFor, type Principal } from '../auth/principal.ts'
import { RouteDemand } from '../demand/route-demand.ts'
import { type HeldService, type HoldDeps, HoldQueue } from '../hold/hold-queue.ts'
import { type PeerLines, PeerWorker } from '../work/peer-worker.ts'
import type { RoutedPeer } from './peer-endpoint.ts'
import { pickUpstream } from './pick-upstream.ts'
import { pickWorker } from './pick-worker.ts'
import { RetryBudget } from './retry-budget.ts'
import { type Endpoint, type RouteSpec, routeKey } from './route-spec.ts'
import type { Upstream } from './upstream.ts'
import { Worker, type WorkerDeps } from './worker.ts'

export type RouteDeps = WorkerDeps & {
  /** Undefined where no owners are joined. */
  peers?: PeerLines | undefined
}

/** One service as it is served now: its settings, its workers, and what is under way. */
export class Route implements HeldService {
  readonly key: string
  spec: RouteSpec
  readonly demand: RouteDemand
  readonly budget: RetryBudget
  /** Where requests wait for the service to wake. */
  readonly hold: HoldQueue
  #workers = new Map<string, Worker>()
  #peers = new Map<string, PeerWorker>()
  /** Those that users' requests may go to. */
  #list: Upstream[] = []
  #own: Worker[] = []
  #mirrors: Worker[] = []
  #serviceAccounts: ReadonlySet<string> = new Set()
  readonly #deps: RouteDeps
  readonly #holdDeps: HoldDeps
  #lease: { uid: string; deadline: LeaseDeadline } | undefined

  constructor(spec: RouteSpec, deps: RouteDeps, holdDeps: HoldDeps, demand = new RouteDemand()) {
    this.#holdDeps = holdDeps
    this.demand = demand
    this.key = routeKey(spec.namespace, spec.service)
    this.spec = spec
    this.#deps = deps
    this.budget = new RetryBudget(deps.now)
    this.hold = new HoldQueue(this, holdDeps)
    this.update(spec)
  }

  /** Takes over a new spec; workers that stay keep their connections and health. Returns those that left. */
  update(spec: RouteSpec): Upstream[] {
    this.spec = spec
    this.#serviceAccounts = new Set(spec.serviceAccounts)
    this.#seeLease()
    const isClosed = this.#isClosed()
    const before = this.#workers
    const wanted: readonly Endpoint[] = isClosed ? [] : spec.endpoints
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
    const leftPeers = this.#updatePeers(isClosed ? [] : (spec.peers ?? []))
    this.#own = [...this.#workers.values()].filter(({ endpoint }) => endpoint.percent > 0)
    this.#list = [...this.#own, ...this.#peers.values()]
    this.#mirrors = [...this.#workers.values()].filter(({ endpoint }) => endpoint.revision === spec.mirror?.revision)
    if (isClosed) this.hold.refuseAll('closed')
    else this.hold.changed()
    return [...before.values(), ...leftPeers]
  }

  #updatePeers(wanted: readonly RoutedPeer[]): PeerWorker[] {
    const before = this.#peers
    const { peers, now, random } = this.#deps
    this.#peers = new Map()
    if (peers === undefined) return []
    for (const endpoint of wanted) {
      // Another epoch is another grant.
      const id = `${endpoint.peer} ${endpoint.requestId} ${endpoint.epoch}`
      const counts = this.demand.revision(endpoint.revision, now())
      const { namespace, service } = this.spec
      const peer = before.get(id) ?? new PeerWorker(endpoint, counts, { namespace, service, lines: peers, now, random })
      peer.at = endpoint
      peer.counts = counts
      before.delete(id)
      this.#peers.set(id, peer)
    }
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
    this.hold.changed()
  }

  /** Whether every worker would refuse one more request; such a one is refused here, without asking them in turn. */
  isSaturated(): boolean {
    const healthy = this.#list.filter((worker) => !worker.isEjected())
    return healthy.length > 0 && !this.mustWait() && healthy.every((worker) => worker.isSaturated())
  }

  /** Whether a request without a worker may wait for one. */
  get mayHold(): boolean {
    return this.spec.mayWake && this.spec.holdSeconds > 0 && !this.#isClosed()
  }

  /** Milliseconds until the lease of a guest ends; undefined for services of our own. */
  get leaseLeft(): number | undefined {
    return this.#lease?.deadline.left
  }

  /** A guest has workers only while its lease lasts; what is under way then is finished, or drained by the worker. */
  #isClosed(): boolean {
    return this.spec.suspended || this.leaseLeft === 0
  }

  #seeLease(): void {
    const { guest } = this.spec
    if (guest === undefined) {
      this.#lease = undefined
      return
    }
    if (this.#lease?.uid !== guest.uid) {
      this.#lease = { uid: guest.uid, deadline: new LeaseDeadline(this.#holdDeps.clock) }
    }
    this.#lease.deadline.see(guest.lease)
  }

  /** Whether a new request must line up: nobody is awake, or others were here first. */
  mustWait(): boolean {
    return this.mayHold && (this.#list.length === 0 || this.hold.size > 0)
  }

  /** Until when a request that begins to wait now may wait; monotonic milliseconds. */
  holdUntil(deadline: number): number {
    return Math.min(deadline, this.#deps.now() + this.spec.holdSeconds * 1000)
  }

  get maxHeld(): number {
    return this.spec.held
  }

  get isAwake(): boolean {
    return this.#list.length > 0
  }

  onHeld(count: number): void {
    this.demand.held = count
  }

  freePlaces(): number {
    let free = 0
    for (const worker of this.#list) {
      if (!worker.isEjected() && !worker.isFull())
        free += Math.max(0, this.spec.queueDepth * worker.capacity - worker.outstanding)
    }
    return free
  }

  /** Those that only get mirrored requests, too. */
  get allWorkers(): readonly Upstream[] {
    return [...this.#workers.values(), ...this.#peers.values()]
  }

  get workers(): readonly Upstream[] {
    return this.#list
  }

  /** Workers of this cluster. */
  get ownWorkers(): readonly Worker[] {
    return this.#own
  }

  /** As `pick`, of the revisions that are not being tried. */
  pickStable(tried: readonly Upstream[]): Upstream | undefined {
    return this.#choose(this.#list.filter(this.#isStable), tried)
  }

  /** As `pick`, for what peers cannot take. */
  pickOwn(tried: readonly Upstream[]): Worker | undefined {
    return pickWorker(this.#own, tried, this.#deps.random)
  }

  /** As `pickStable`, for what peers cannot take. */
  pickOwnStable(tried: readonly Upstream[]): Worker | undefined {
    return pickWorker(this.#own.filter(this.#isStable), tried, this.#deps.random)
  }

  readonly #isStable = ({ endpoint }: Upstream) => endpoint.revision !== this.spec.canary

  #choose(upstreams: readonly Upstream[], tried: readonly Upstream[]): Upstream | undefined {
    const { random } = this.#deps
    if (this.#peers.size === 0) return pickWorker(upstreams, tried, random)
    const { ownFirst, targetInFlight } = this.spec
    return pickUpstream(upstreams, tried, { ownFirst, targetInFlight, random })
  }

  /** A worker for mirrored requests: one that has room and no known trouble. */
  pickMirror(): Worker | undefined {
    const { mirror, queueDepth } = this.spec
    const ready = this.#mirrors.filter((worker) => !worker.isEjected() && worker.outstanding < queueDepth)
    return mirror === undefined ? undefined : pickWorker(ready, [], this.#deps.random)
  }

  pick(tried: readonly Upstream[]): Upstream | undefined {
    return this.#choose(this.#list, tried)
  }

  /** Default deny: only who `spec.access` lists, and keys that name this service. */
  allows(principal: Principal): boolean {
    if (principal.kind === 'serviceAccount')
      return this.#serviceAccounts.has(`${principal.namespace}:${principal.name}`)
    if (principal.kind === 'accessKey') {
      return keyFor(principal, this.spec.namespace, this.spec.service) !== undefined
    }
    // What peers may use is a matter of leases.
    if (principal.kind === 'peer') return false
    return this.spec.oidc.some(
      ({ issuerName, subjects, groups }) =>
        issuerName === principal.issuerName &&
        (subjects.includes(principal.subject) || groups.some((group) => principal.groups.includes(group))),
    )
  }
}
