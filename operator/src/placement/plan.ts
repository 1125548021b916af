import type { InferenceService } from '../api/inference-service.ts'
import type { PeersReadyReason } from '../api/inference-service-reasons.ts'
import type { DataClass } from '../api/owner-scalars.ts'
import type { RemoteWork, Work } from '../api/remote-work.ts'
import { isBelow } from '../egresspolicy/data-class.ts'
import type { ModelState } from '../inferenceservice/model-state.ts'
import { revisionLabel } from '../inferenceservice/names.ts'
import { isTrue } from '../kube/conditions.ts'
import { isSameWork } from './names.ts'
import { type Latest, planDivided, type Share } from './plan-divided.ts'
import { relabel } from './relabel.ts'
import { lacksRoom } from './room.ts'
import { isSpent } from './spent.ts'
import { whyWithheld } from './withheld.ts'
import { workOf } from './work-of.ts'

export type PlacementInput = {
  service: InferenceService
  model: ModelState
  /** Of the namespace, raised by the service. */
  dataClass: DataClass
  /** All RemoteWorks of the service. */
  works: readonly RemoteWork[]
  now: number
  /** The revision that the spec asks for; none while the model cannot be served. */
  revision?: string | undefined
  /** What the strategy gives to peers with maxReplicas; those that are not in it get nothing. */
  shares?: ReadonlyMap<string, Share>
}

/** How it shall stand at one peer. */
export type OwnerPlan = {
  peer: string
  wanted: number
  /** What is asked for now. */
  current?: RemoteWork
  /** The state before, which stays until `current` is granted and ready. */
  superseded?: RemoteWork
  /** Further parts, and works of the state before, that count too. */
  more?: RemoteWork[]
  /** Why nothing is asked. */
  unplaced?: { reason: PeersReadyReason; message: string }
}

export type Placement = {
  create: { peer: string; work: Work; part?: number; revision?: string }[]
  remove: RemoteWork[]
  /** Works that are another revision's now. */
  relabel: { work: RemoteWork; revision: string }[]
  owners: OwnerPlan[]
  /** Look again then. */
  afterSeconds?: number
}

/** What RemoteWorks a service shall have: one for each peer of `spec.placement`, and while it changes the one before. */
export function planPlacement(input: PlacementInput): Placement {
  const { service, works } = input
  const alive = works.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
  const peers = service.spec.suspend ? [] : (service.spec.placement?.peers ?? [])
  const entries = peers.filter(({ replicas = 0, maxReplicas }) => replicas > 0 || maxReplicas !== undefined)
  const listed = new Set(entries.map(({ name }) => name))
  const placement: Placement = {
    create: [],
    remove: alive.filter(({ spec }) => !listed.has(spec.peerRef.name)),
    relabel: [],
    owners: [],
  }
  let waits = false
  for (const { name, replicas } of entries) {
    const works = alive.filter(({ spec }) => spec.peerRef.name === name)
    const latest = replicas === undefined ? latestOf(input) : undefined
    if (replicas !== undefined) planPeer(input, name, replicas, works, placement)
    else if (latest === undefined) keep(name, works, input, placement)
    else {
      const share = input.shares?.get(name) ?? { wanted: 0, keepFailed: false }
      // Owners are updated one after the other; one that has failed is not waited for.
      if (!planDivided(input, latest, { peer: name, share, works, waits }, placement)) waits = true
    }
  }
  return placement
}

/** How peers are asked for the newest state; undefined where the model can be handed to nobody. */
function latestOf({ service, model, dataClass, revision }: PlacementInput): Latest | undefined {
  const { servable } = model
  if (servable === undefined || revision === undefined || whyWithheld(model) !== undefined) return undefined
  return { revision, asked: (replicas, attempt) => workOf(service, servable, { replicas, dataClass, attempt }) }
}

/** What runs is not taken away because the model cannot be judged now. */
function keep(peer: string, works: readonly RemoteWork[], input: PlacementInput, placement: Placement): void {
  const [current, ...more] = works.toSorted(byUse)
  const wanted = input.shares?.get(peer)?.wanted ?? 0
  const unplaced = whyWithheld(input.model)
  if (current === undefined && wanted === 0) return
  placement.owners.push({
    ...{ peer, wanted },
    ...(current !== undefined && { current }),
    ...(more.length > 0 && { more }),
    ...(unplaced !== undefined && { unplaced }),
  })
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
  const unplaced = whyWithheld(model)
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
  const revised = input.revision === undefined ? {} : { revision: input.revision }
  const same = works.filter(({ spec }) => isSameWork(spec.work, asked(1))).toSorted(byAttempt)
  const before = works.filter((each) => !same.includes(each)).toSorted(byUse)
  const [current, ...older] = same
  placement.remove.push(...older)
  const trial = trialOf(input, before)
  if (trial?.rolledBack === true) {
    // The old one goes on as it is; of the new one nothing is left.
    owner.current = trial.old
    placement.remove.push(...same.slice(0, 1), ...before.filter((each) => each !== trial.old))
    return
  }
  // Neither more than one old state, nor one that says a lower class than its data has now.
  const kept = before.find(({ spec }) => !isBelow(spec.work.dataClass, dataClass))
  if (current === undefined) {
    placement.create.push({ peer, work: asked(1), ...revised })
  } else {
    owner.current = current
    const told = new Set((service.status?.traffic ?? []).map((each) => each.revision))
    if (input.revision !== undefined && trial === undefined) relabel(current, input.revision, told, placement)
    const verdict = isSpent(current, now)
    if (verdict.spent && verdict.afterSeconds === 0) {
      placement.remove.push(current)
      placement.create.push({ peer, work: asked(current.spec.work.attempt + 1), ...revised })
    } else if (verdict.spent) {
      placement.afterSeconds = Math.min(placement.afterSeconds ?? Number.POSITIVE_INFINITY, verdict.afterSeconds)
    }
  }
  const goes =
    trial === undefined && current !== undefined && (isTrue(current.status?.conditions, 'Ready') || lacksRoom(current))
  if (kept !== undefined && !goes) owner.superseded = kept
  placement.remove.push(...before.filter((each) => each !== owner.superseded))
}

/** The work of the revision before, while the newest is tried or was rolled back. */
function trialOf(
  { service, revision }: PlacementInput,
  before: readonly RemoteWork[],
): { old: RemoteWork; rolledBack: boolean } | undefined {
  const { rollout, traffic = [] } = service.status ?? {}
  if (rollout === undefined || rollout.revision !== revision) return undefined
  const told = new Set(traffic.map((each) => each.revision))
  const old = before.find(({ metadata }) => told.has(metadata.labels?.[revisionLabel] ?? ''))
  return old === undefined ? undefined : { old, rolledBack: rollout.state === 'RolledBack' }
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
