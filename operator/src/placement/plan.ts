import type { RefusalReason } from '../api/guest-work-reasons.ts'
import type { InferenceService } from '../api/inference-service.ts'
import type { PeersReadyReason } from '../api/inference-service-reasons.ts'
import type { DataClass } from '../api/owner-scalars.ts'
import type { RemoteWork, Work } from '../api/remote-work.ts'
import { isBelow } from '../egresspolicy/data-class.ts'
import type { ModelState } from '../inferenceservice/model-state.ts'
import { conditionOf, isTrue } from '../kube/conditions.ts'
import { isSameWork } from './names.ts'
import { isSpent } from './spent.ts'
import { workOf } from './work-of.ts'

export type PlacementInput = {
  service: InferenceService
  model: ModelState
  /** Of the namespace, raised by the service. */
  dataClass: DataClass
  /** All RemoteWorks of the service. */
  works: readonly RemoteWork[]
  now: number
}

/** How it shall stand at one peer. */
export type OwnerPlan = {
  peer: string
  wanted: number
  /** What is asked for now. */
  current?: RemoteWork
  /** The state before, which stays until `current` is granted and ready. */
  superseded?: RemoteWork
  /** Why nothing is asked. */
  unplaced?: { reason: PeersReadyReason; message: string }
}

export type Placement = {
  create: { peer: string; work: Work }[]
  remove: RemoteWork[]
  owners: OwnerPlan[]
  /** Look again then. */
  afterSeconds?: number
}

/** Refusals for want of room: the peer may have it when the old work is gone. */
const wantOfRoom: ReadonlySet<string> = new Set<RefusalReason>([
  'QuotaExceeded',
  'TooManyLeases',
  'NotIdle',
  'ResourceNotOffered',
])

/** What RemoteWorks a service shall have: one for each peer of `spec.placement`, and while it changes the one before. */
export function planPlacement(input: PlacementInput): Placement {
  const { service, works } = input
  const alive = works.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
  const peers = service.spec.suspend ? [] : (service.spec.placement?.peers ?? [])
  const entries = peers.flatMap(({ name, replicas = 0 }) => (replicas > 0 ? [{ name, replicas }] : []))
  const listed = new Set(entries.map(({ name }) => name))
  const placement: Placement = {
    create: [],
    remove: alive.filter(({ spec }) => !listed.has(spec.peerRef.name)),
    owners: [],
  }
  for (const { name, replicas } of entries) {
    const own = alive.filter(({ spec }) => spec.peerRef.name === name)
    planPeer(input, name, replicas, own, placement)
  }
  return placement
}

function planPeer(
  input: PlacementInput,
  peer: string,
  wanted: number,
  works: readonly RemoteWork[],
  placement: Placement,
): void {
  const { service, model, dataClass, now } = input
  const owner: OwnerPlan = { peer, wanted }
  placement.owners.push(owner)
  const unplaced = whyNot(model)
  if (unplaced !== undefined || model.servable === undefined) {
    // What runs is not taken away because the model cannot be judged now.
    const [kept, ...others] = works.toSorted(byUse)
    placement.remove.push(...others)
    if (unplaced !== undefined) owner.unplaced = unplaced
    if (kept !== undefined) owner.current = kept
    return
  }
  const asked = (attempt: number) =>
    workOf(service, model.servable ?? never(), { replicas: wanted, dataClass, attempt })
  const same = works.filter(({ spec }) => isSameWork(spec.work, asked(1))).toSorted(byAttempt)
  const before = works.filter((each) => !same.includes(each)).toSorted(byUse)
  const [current, ...older] = same
  placement.remove.push(...older)
  // Neither more than one old state, nor one that says a lower class than its data has now.
  const kept = before.find(({ spec }) => !isBelow(spec.work.dataClass, dataClass))
  if (current === undefined) {
    placement.create.push({ peer, work: asked(1) })
  } else {
    owner.current = current
    const verdict = isSpent(current, now)
    if (verdict.spent && verdict.afterSeconds === 0) {
      placement.remove.push(current)
      placement.create.push({ peer, work: asked(current.spec.work.attempt + 1) })
    } else if (verdict.spent) {
      placement.afterSeconds = Math.min(placement.afterSeconds ?? Number.POSITIVE_INFINITY, verdict.afterSeconds)
    }
  }
  const goes = current !== undefined && (isTrue(current.status?.conditions, 'Ready') || lacksRoom(current))
  if (kept !== undefined && !goes) owner.superseded = kept
  placement.remove.push(...before.filter((each) => each !== owner.superseded))
}

/** Whether only the old work stands in the way of the new: it then makes room, as a Deployment with strategy Recreate does. */
function lacksRoom({ status }: RemoteWork): boolean {
  if (conditionOf(status?.conditions, 'Delivered')?.reason === 'SpendLimit') return true
  const refusals = status?.answer?.decision === 'Refused' ? (status.answer.refusals ?? []) : []
  return refusals.length > 0 && refusals.every(({ reason }) => wantOfRoom.has(reason))
}

function whyNot({ reason, message, servable }: ModelState): OwnerPlan['unplaced'] {
  if (servable === undefined) return { reason: 'NotPlaced', message: `${reason}: ${message}` }
  const { name } = servable.model.metadata
  const { source } = servable.model.spec
  if (source.pvc !== undefined) {
    return {
      reason: 'NotPlaced',
      message: `Model ${name} lies on a claim, which gateways cannot hand out; use a source that fetch can read`,
    }
  }
  if (source.peer !== undefined) {
    return { reason: 'NotPlaced', message: `Model ${name} came from a peer; what one owner lent is not handed on` }
  }
  return undefined
}

/** What serves first, then the newest. */
function byUse(one: RemoteWork, other: RemoteWork): number {
  const use = ({ status }: RemoteWork) =>
    (status?.readyReplicas ?? 0) * 2 + (isTrue(status?.conditions, 'Granted') ? 1 : 0)
  return use(other) - use(one) || compare(other, one)
}

function byAttempt(one: RemoteWork, other: RemoteWork): number {
  return other.spec.work.attempt - one.spec.work.attempt
}

function compare({ metadata: one }: RemoteWork, { metadata: other }: RemoteWork): number {
  const key = ({ creationTimestamp = '', name }: RemoteWork['metadata']) => `${creationTimestamp} ${name}`
  return key(one) < key(other) ? -1 : 1
}

function never(): never {
  throw new Error('a model that cannot be served is not placed')
}
