import type { RemoteWork, Work } from '../api/remote-work.ts'
import { isBelow } from '../egresspolicy/data-class.ts'
import { revisionLabel } from '../inferenceservice/names.ts'
import { isSameKind, partLabel } from './names.ts'
import { partState } from './part-state.ts'
import { type Part, planParts } from './parts.ts'
import type { OwnerPlan, Placement, PlacementInput } from './plan.ts'
import { relabel } from './relabel.ts'
import { lacksRoom } from './room.ts'

/** What one peer shall run by the strategy. */
export type Share = {
  wanted: number
  /** Nobody else takes what it refused: the request may stay, and the peer decides anew by itself. */
  keepFailed: boolean
}

/** What is asked now: the newest state of the service, and how one asks for it. */
export type Latest = { revision: string; asked: (replicas: number, attempt: number) => Work }

type Update = { peer: string; share: Share; works: readonly RemoteWork[]; waits: boolean }

/**
 * Plans the parts at one peer. Without a canary the newest state is asked for, and works of the one before stay while gateways send requests to
 * its revision, or until the new ones are settled. In a canary they stay until it is promoted, and the new revision gets its percent; when it is
 * rolled back, its works go at once. Returns whether the peer has done its update, so that the next one may begin.
 */
export function planDivided(input: PlacementInput, latest: Latest, update: Update, placement: Placement): boolean {
  const { peer, share, works } = update
  const owner: OwnerPlan = { peer, wanted: share.wanted }
  const newest = latest.asked(1, 1)
  const isNew = (work: RemoteWork) => isSameKind(work.spec.work, newest)
  const fresh = works.filter(isNew)
  const { others, gone } = formerOf(works, isNew, input)
  placement.remove.push(...gone)
  const trial = trialOf(input, latest.revision, isNew)
  const ask = (kind: Ask, wanted: number, keepFailed: boolean) => {
    const mine = kind.works.map((work): Part => ({ work, state: partState(work, input.now, loadSeconds(input)) }))
    const { ask: sizes, remove } = planParts(wanted, mine, keepFailed)
    placement.remove.push(...remove)
    for (const [i, replicas] of sizes.entries()) {
      const attempt = Math.max(1, ...mine.filter(({ state }) => state === 'Failed').map(nextAttempt))
      const part = freePart(works) + i
      placement.create.push({ peer, work: kind.asked(replicas, attempt), part, revision: kind.revision })
    }
    return mine.filter(({ work }) => !remove.includes(work))
  }
  let done = true
  if (trial !== undefined) {
    const old = others.filter((work) => isSameKind(work.spec.work, trial.template))
    placement.remove.push(...others.filter((work) => !old.includes(work)))
    const asOld = (replicas: number, attempt: number) => ({ ...trial.template, replicas, attempt })
    const kept = ask({ works: old, asked: asOld, revision: trial.revision }, share.wanted, share.keepFailed)
    // What a peer refuses of a canary makes it smaller, and nothing waits for it.
    const tried = ask({ works: fresh, ...latest }, Math.ceil((share.wanted * trial.percent) / 100), true)
    report(owner, [...kept, ...tried], [])
  } else {
    const settled = sizeOf(fresh, (work) => partState(work, input.now, loadSeconds(input)) === 'Settled')
    const told = new Set((input.service.status?.traffic ?? []).map(({ revision }) => revision))
    const serves = ({ metadata }: RemoteWork) => told.has(metadata.labels?.[revisionLabel] ?? '')
    const isOver = settled >= share.wanted || fresh.some(lacksRoom)
    const stay = others.filter((work) => serves(work) || !isOver)
    placement.remove.push(...others.filter((work) => !stay.includes(work)))
    done =
      isOver || others.length === 0 || fresh.some((work) => partState(work, input.now, loadSeconds(input)) === 'Failed')
    const kept =
      update.waits && others.length > 0 && fresh.length === 0
        ? []
        : ask({ works: fresh, ...latest }, share.wanted, share.keepFailed)
    report(owner, kept, stay)
    for (const { work } of kept) relabel(work, latest.revision, told, placement)
  }
  if (share.wanted > 0 || owner.current !== undefined || owner.superseded !== undefined) placement.owners.push(owner)
  return done
}

type Ask = { works: readonly RemoteWork[]; asked: Latest['asked']; revision: string }

/** A canary under way, or rolled back (percent 0), and what the revision before asked for. */
function trialOf(
  { service, works }: PlacementInput,
  revision: string,
  isNew: (work: RemoteWork) => boolean,
): { template: Work; revision: string; percent: number } | undefined {
  const { rollout, traffic = [] } = service.status ?? {}
  if (rollout?.revision !== revision) return undefined
  const old = traffic.find((each) => each.revision !== revision)
  // Any peer's work of that revision says what all were asked.
  const work = works.find((each) => !isNew(each) && each.metadata.labels?.[revisionLabel] === old?.revision)
  if (old === undefined || work === undefined) return undefined
  const percent =
    rollout.state === 'RolledBack' ? 0 : (traffic.find((each) => each.revision === revision)?.percent ?? 0)
  return { template: work.spec.work, revision: old.revision, percent }
}

/** Works of the state before; neither of more than one, nor with a lower class than its data has now. */
function formerOf(works: readonly RemoteWork[], isNew: (work: RemoteWork) => boolean, { dataClass }: PlacementInput) {
  const former = works.filter((work) => !isNew(work))
  const fit = former.filter(({ spec }) => !isBelow(spec.work.dataClass, dataClass)).toSorted(byReady)
  const others = fit.filter(({ spec }) => fit[0] !== undefined && isSameKind(spec.work, fit[0].spec.work))
  return { others, gone: former.filter((work) => !others.includes(work)) }
}

function report(owner: OwnerPlan, parts: readonly Part[], former: readonly RemoteWork[]): void {
  // What is worst is said.
  const [first, ...rest] = parts.toSorted((one, other) => rank(other) - rank(one)).map(({ work }) => work)
  if (first !== undefined) owner.current = first
  if (rest.length > 0) owner.more = rest
  if (former[0] !== undefined) owner.superseded = former[0]
  if (former.length > 1) owner.more = [...rest, ...former.slice(1)]
}

function rank({ state }: Part): number {
  return { Failed: 2, Coming: 1, Settled: 0 }[state]
}

function nextAttempt({ work }: Part): number {
  return work.spec.work.attempt + 1
}

function freePart(works: readonly RemoteWork[]): number {
  const taken = new Set(works.map(({ metadata }) => Number(metadata.labels?.[partLabel] ?? 0)))
  let part = 0
  while (taken.has(part)) part++
  return part
}

function loadSeconds({ service }: PlacementInput): number {
  return service.spec.timeouts.loadSeconds
}

function sizeOf(works: readonly RemoteWork[], counts: (work: RemoteWork) => boolean): number {
  return works.filter(counts).reduce((sum, { spec }) => sum + spec.work.replicas, 0)
}

function byReady(one: RemoteWork, other: RemoteWork): number {
  return (
    (other.status?.readyReplicas ?? 0) - (one.status?.readyReplicas ?? 0) ||
    (one.metadata.name < other.metadata.name ? -1 : 1)
  )
}
