import type { EgressPolicy } from '../api/egress-policy.ts'
import type { OwnerIdentity } from '../api/identity.ts'
import type { InferenceService } from '../api/inference-service.ts'
import type { DataClass } from '../api/owner-scalars.ts'
import type { Peer } from '../api/peer.ts'
import { ownName } from '../api/placement.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import type { Spent } from '../egresspolicy/allow.ts'
import { createSpending } from '../egresspolicy/spending.ts'
import type { OpenMessage } from '../federation/federation.ts'
import type { ModelState } from '../inferenceservice/model-state.ts'
import type { Clock } from '../kube/clock.ts'
import { conditionOf } from '../kube/conditions.ts'
import type { Pod, PodTemplate } from '../kube/pod-types.ts'
import { keyOf, refOf } from '../kube/resource.ts'
import type { Store } from '../kube/store.ts'
import { remoteWorkIndexes } from '../remotework/indexes.ts'
import { type Decision, decidePlacement } from './decide.ts'
import { gatherFacts } from './gather.ts'
import type { PlacementMetrics } from './metrics.ts'
import type { OwnRoom } from './own-room.ts'
import { partState, whyFailed } from './part-state.ts'
import type { Share } from './plan-divided.ts'
import { failureId, type Refusals } from './refusals.ts'
import type { SteadyRoom } from './steady-room.ts'
import type { Troubles } from './troubles.ts'
import { afterReady } from './two-phase.ts'

export type DivideDeps = {
  clock: Clock
  services: { readonly size: number }
  peers: Pick<Store<Peer>, 'get'>
  identities: Pick<Store<OwnerIdentity>, 'get'>
  egressPolicies: Pick<Store<EgressPolicy>, 'list'>
  remoteWorks: Pick<Store<RemoteWork, 'peer'>, 'list' | 'byIndex'>
  pods: Pick<Store<Pod, 'service'>, 'byIndex'>
  openMessage: OpenMessage
  ownRoom: OwnRoom
  refusals: Refusals
  troubles: Troubles
  steady: SteadyRoom
  metrics: PlacementMetrics
}

export type Divided = {
  decision: Decision
  /** Workers that each shall have now, this cluster as `own`. */
  now: ReadonlyMap<string, number>
  shares: ReadonlyMap<string, Share>
  /** Room, windows and pauses change without an event of ours. */
  afterSeconds: number
}

/** Pods that the scheduler has no room for; it may make some by preemption first. */
const unschedulableSeconds = 15
const lookSeconds = 15
/** All services together; with thousands each has to wait longer for the next look. */
const looksPerSecond = 30

/** Divides the workers of one service between this cluster and its peers with maxReplicas. */
export function divide(
  input: {
    service: InferenceService
    model: ModelState
    template: PodTemplate | undefined
    dataClass: DataClass
    namespaceLabels: Readonly<Record<string, string>> | undefined
    works: readonly RemoteWork[]
  },
  deps: DivideDeps,
): Divided {
  const { service, works } = input
  const key = keyOf(refOf(service))
  const now = deps.clock.now()
  const started = deps.clock.monotonic()
  const alive = works.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
  noteFailures(key, service, alive, deps, now)
  const total = service.status?.desiredReplicas ?? 0
  const facts = gatherFacts({
    ...input,
    works: alive,
    total,
    own: { current: 0, room: 0, maxReplicas: 0 },
    policies: deps.egressPolicies.list(),
    spent: spentByOthers(works, deps),
    peerOf: (name) => deps.peers.get({ name }),
    identityOf: (name) => deps.identities.get({ name }),
    openMessage: deps.openMessage,
    refusedAt: (peer) => deps.refusals.at(`${key} ${peer}`, now),
    troublesOf: (peer) => deps.troubles.of(peer, now),
    shareOf: sharesOfOthers(service, deps),
    now,
  })
  const atPeers = facts.peers.reduce((sum, { current }) => sum + current, 0)
  const own = ownFacts(key, { ...input, total, atPeers }, deps, now)
  const decision = decidePlacement({ ...facts, own })
  const phases = decision.candidates.map(({ name, replicas, current }) => ({
    name,
    planned: replicas,
    current: name === ownName ? own.current : current,
    ready: name === ownName ? (service.status?.readyReplicas ?? 0) : readyAt(name, alive),
  }))
  const shall = new Map(afterReady(phases, total))
  const shares = sharesOf(decision, shall, alive, service, now)
  const mine = (shall.get(ownName) ?? 0) + own.pending(decision.unplaced)
  shall.set(ownName, Math.min(total, own.maxReplicas, mine))
  deps.metrics.decided(decision.unplaced > 0 ? 'Unplaced' : 'Placed', (deps.clock.monotonic() - started) / 1000)
  return { decision, now: shall, shares, afterSeconds: Math.max(lookSeconds, deps.services.size / looksPerSecond) }
}

/** What all other work may cost; what this service asked for makes room for what it asks for now. Added up once for each policy. */
function spentByOthers(works: readonly RemoteWork[], { remoteWorks }: DivideDeps): Spent {
  const mine = new Set(works)
  const known = new Map<string, number>()
  return (policy, currency) => {
    const key = `${policy} ${currency}`
    const found =
      known.get(key) ??
      createSpending(() => remoteWorks.list().filter((work) => !mine.has(work))).others('')(policy, currency)
    known.set(key, found)
    return found
  }
}

/** Remembers what peers refused, and what our own scheduler has no room for. */
function noteFailures(
  key: string,
  service: InferenceService,
  works: readonly RemoteWork[],
  { refusals, troubles }: DivideDeps,
  now: number,
): void {
  for (const { name } of service.spec.placement?.peers ?? []) {
    const mine = works.filter(({ spec }) => spec.peerRef.name === name)
    const isFailed = (work: RemoteWork) => partState(work, now, service.spec.timeouts.loadSeconds) === 'Failed'
    const failed = mine.filter(isFailed).map((work) => ({ id: failureId(work), reasons: whyFailed(work) }))
    const granted = mine.filter((work) => !isFailed(work)).reduce((sum, { spec }) => sum + spec.work.replicas, 0)
    refusals.note(`${key} ${name}`, failed, granted, now)
    for (const work of mine.filter(isFailed)) {
      const since = conditionOf(work.status?.conditions, 'Granted')?.lastTransitionTime
      troubles.note(name, failureId(work), since === undefined ? now : Date.parse(since))
    }
  }
}

type Own = { current: number; room: number; maxReplicas: number; pending: (unplaced: number) => number }

/** This cluster: workers that have or soon get a node, and room for more. What the scheduler found no room for is not tried again before a pause. */
function ownFacts(
  key: string,
  input: Parameters<typeof divide>[0] & { total: number; atPeers: number },
  deps: DivideDeps,
  now: number,
): Own {
  const { service, template, total, atPeers } = input
  const { own, peers = [] } = service.spec.placement ?? {}
  const maxReplicas = own?.maxReplicas ?? total
  const pods = deps.pods.byIndex('service', key).filter(({ metadata }) => metadata.deletionTimestamp === undefined)
  // One that has lost its node, or waits for its first, may get one in a moment.
  const current = Math.min(pods.filter((pod) => !isUnschedulable(pod, now)).length, total)
  // A pod that still waits when the pause is over is another refusal.
  if (deps.refusals.at(`${key} ${ownName}`, now) === undefined && pods.some((pod) => isUnschedulable(pod, now))) {
    deps.refusals.note(`${key} ${ownName}`, [{ id: String(now), reasons: ['Unschedulable'] }], current, now)
  }
  const refused = deps.refusals.at(`${key} ${ownName}`, now)
  const free = template === undefined ? total : deps.ownRoom.roomFor(template, total)
  const room = Math.min(current + free, refused?.atMost ?? Number.POSITIVE_INFINITY)
  const steady = deps.steady.least(key, room, now)
  const growth = Math.max(0, total - current - atPeers)
  // What has no place may as well wait here for a node, as it would without peers; with a bound it may not.
  const pending = (unplaced: number) => Math.min(unplaced, Math.max(0, maxReplicas - current))
  // Without a peer that could take a worker there is nothing to move.
  const open = peers.length === 0 ? total : Math.min(room, Math.max(current + growth, steady))
  return { current, room: open, maxReplicas, pending }
}

function isUnschedulable({ status }: Pod, now: number): boolean {
  const scheduled = conditionOf(status?.conditions, 'PodScheduled')
  if (scheduled?.status !== 'False' || scheduled.reason !== 'Unschedulable') return false
  return now - Date.parse(scheduled.lastTransitionTime ?? '') > unschedulableSeconds * 1000
}

/** What each peer is to be asked for: its workers, and what it refused as long as nobody else takes it. */
function sharesOf(
  { candidates, unplaced }: Decision,
  shall: ReadonlyMap<string, number>,
  works: readonly RemoteWork[],
  service: InferenceService,
  now: number,
): Map<string, Share> {
  const shares = new Map<string, Share>()
  let left = unplaced
  for (const { name, peer } of candidates) {
    if (peer === undefined) continue
    const wanted = shall.get(name) ?? 0
    const failed = works
      .filter(({ spec }) => spec.peerRef.name === name)
      .filter((work) => partState(work, now, service.spec.timeouts.loadSeconds) === 'Failed')
      .reduce((sum, { spec }) => sum + spec.work.replicas, 0)
    // While its pause lasts the request may stand, and the peer may think again; afterwards it is asked anew.
    const stands = peer.refused === undefined ? 0 : Math.min(left, failed, peer.maxReplicas - wanted)
    left -= stands
    shares.set(name, { wanted: wanted + stands, keepFailed: stands > 0 })
  }
  return shares
}

function readyAt(peer: string, works: readonly RemoteWork[]): number {
  return works
    .filter(({ spec }) => spec.peerRef.name === peer)
    .reduce((sum, { status }) => sum + (status?.readyReplicas ?? 0), 0)
}

/** What each peer runs of our other services, in per mille of what all peers of this service run of them. */
function sharesOfOthers(service: InferenceService, { remoteWorks }: DivideDeps): (peer: string) => number {
  const key = keyOf(refOf(service))
  const counts = new Map(
    (service.spec.placement?.peers ?? []).map(({ name }) => {
      const others = remoteWorks.byIndex('peer', name).filter((work) => !remoteWorkIndexes.service(work).includes(key))
      return [name, others.reduce((sum, { spec }) => sum + (spec.cancelled ? 0 : spec.work.replicas), 0)]
    }),
  )
  const all = [...counts.values()].reduce((sum, each) => sum + each, 0)
  return (peer) => (all === 0 ? 0 : Math.floor((1000 * (counts.get(peer) ?? 0)) / all))
}
