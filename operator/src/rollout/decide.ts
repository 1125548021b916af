import type { InferenceServiceSpec, InferenceServiceStatus } from '../api/inference-service.ts'
import type { RolledOutReason } from '../api/inference-service-reasons.ts'
import type { Demand, ServiceWindow } from '../demand/demand.ts'
import { type Compared, compare, figures, nothingSeen, type Verdict } from './compare.ts'
import { isOrdered } from './orders.ts'

export type RolloutStatus = NonNullable<InferenceServiceStatus['rollout']>
export type Traffic = { revision: string; percent: number }[]

/** What the operator knows of one service's requests. */
export type ServiceDemand = {
  isComplete: Demand['isComplete']
  window(seconds: number): ServiceWindow | undefined
}

export type RolloutInput = {
  rollout: InferenceServiceSpec['rollout']
  /** Workers that the service shall have; 0 while it is scaled to zero. */
  wanted: number
  next: {
    revision: string
    ready: number
    /** Workers that its Deployment asks for now; 0 where there is none yet. */
    replicas: number
    /** Whether the counts are those of the Deployment as it is specified now. */
    settled: boolean
    /** Why its workers will not come up, or were lost. */
    trouble: string | undefined
    /** When the newest of its ready workers became so, in milliseconds since 1970; 0 where none is ready. */
    newestReady: number
  }
  old: { revision: string; ready: number }
  /** `status.rollout`, if it is about `next`. */
  before: RolloutStatus | undefined
  /** `status.traffic`: what gateways were told. */
  told: Traffic
  /** Orders about `next`, see `ordersFor`. */
  orders: readonly string[]
  /** Nothing new may be begun: the Model cannot be served now. */
  frozen: boolean
  demand: ServiceDemand
  /** Milliseconds since 1970. */
  now: number
}

export type RolloutDecision = {
  outcome: 'Progressing' | 'Promoted' | 'RolledBack'
  /** The next `status.rollout`; undefined once promoted. */
  status: RolloutStatus | undefined
  reason: RolledOutReason
  message: string
  traffic: Traffic
  /** Workers of the new revision. */
  replicas: number
}

/** The first requests of a new worker meet cold caches and connections; they say nothing about the latency. */
const warmUpSeconds = 3
/** How far back is looked, at most, to learn that a service has no traffic at all. */
const quietSeconds = 3_600

/**
 * Decides where a canary stands: it waits for its workers, goes through its steps, and is promoted or rolled back. Pure; all state
 * is in `before` and `told`, so that any operator can go on where another one stopped.
 */
export function decideRollout(input: RolloutInput): RolloutDecision {
  const { before, next, old, orders, wanted, told } = input
  if (before?.state === 'RolledBack' && !isOrdered('retry', orders, before.orders ?? []))
    return rolledBack(input, before)
  const progress: RolloutStatus =
    before === undefined || before.state === 'RolledBack'
      ? {
          revision: next.revision,
          state: 'Progressing',
          step: 0,
          stepStartedTime: time(input.now),
          orders: [...orders],
        }
      : before
  const seen = progress.orders ?? []
  if (isOrdered('abort', orders, seen)) {
    return rollBack(input, progress, { reason: 'Aborted', message: 'ended by an order of a user' })
  }
  if (wanted === 0) return hold(input, progress, 'waits while the service is scaled to zero', 0)
  const hasTraffic = progress === before && told.some(({ revision }) => revision === next.revision)
  const promoted = isOrdered('promote', orders, seen) && !input.frozen
  const verdict = judge(input, progress, hasTraffic && !promoted)
  // Better a worker that does badly than none.
  const oldServes = old.ready > 0 || next.ready === 0
  if (verdict !== undefined && oldServes) return rollBack(input, progress, verdict)
  if (promoted) return promote(input, progress, hasTraffic, 'promotion was ordered')
  if (!hasTraffic) return begin(input, progress)
  return verdict === undefined
    ? step(input, progress)
    : hold(input, progress, 'does badly, but no worker of the old one is ready')
}

/** Before the first step: the new revision gets no requests. */
function begin(input: RolloutInput, progress: RolloutStatus): RolloutDecision {
  const { next, old, rollout, frozen } = input
  const needed = needs(input, 0)
  const alone = old.ready === 0 && next.ready > 0
  if (alone || (!rollout.paused && !frozen && isUp(input, needed))) {
    return step(input, { ...progress, step: 0, stepStartedTime: time(input.now) })
  }
  return {
    outcome: 'Progressing',
    status: paused(input, progress),
    reason: rollout.paused ? 'CanaryPaused' : 'CanaryWaiting',
    message: `revision ${next.revision} waits for ${needed === 1 ? 'its first worker' : `its first ${needed} workers`}; revision ${old.revision} keeps serving`,
    traffic: [{ revision: old.revision, percent: 100 }],
    replicas: Math.min(input.wanted, Math.max(next.replicas, needed)),
  }
}

function step(input: RolloutInput, progress: RolloutStatus): RolloutDecision {
  const { rollout, frozen, now } = input
  const index = indexOf(rollout, progress)
  const current = rollout.steps[index]
  const elapsed = elapsedSeconds(progress, now)
  if (current === undefined || rollout.paused || frozen || elapsed < current.seconds) return hold(input, progress)
  const compared = comparison(input, progress)
  if (!isProven(input, progress, compared)) {
    const { minRequests, windowSeconds } = rollout.analysis
    return hold(
      input,
      progress,
      `its time is over, and it waits for ${minRequests} requests of the new revision within ${windowSeconds} s`,
    )
  }
  const told = `step ${index + 1}: ${compared === undefined ? 'no requests' : figures(compared)}`
  if (index + 1 >= rollout.steps.length) return promote(input, progress, true, told)
  const needed = needs(input, index + 1)
  if (!isUp(input, needed)) return hold(input, progress, `waits for ${needed} workers for the next step`, needed)
  return hold(input, { ...progress, step: index + 1, stepStartedTime: time(now), message: told })
}

/**
 * A step proves something when enough requests of the new revision are known, from all gateways; a service without any traffic
 * has nothing to prove, and its steps end by time.
 */
function isProven(input: RolloutInput, progress: RolloutStatus, compared: Compared | undefined): boolean {
  const { rollout, demand } = input
  const { analysis, steps } = rollout
  const current = steps[indexOf(rollout, progress)]
  if (current === undefined) return false
  if (compared !== undefined && demand.isComplete(Math.ceil(analysisSeconds(input, progress)))) {
    const seen = current.percent === 0 ? compared.next.mirrored : compared.next.requests
    if (seen >= analysis.minRequests) return true
  }
  if (current.percent === 0 && rollout.mirror === undefined) return true
  const seconds = Math.min(current.seconds, quietSeconds)
  return demand.isComplete(seconds) && (demand.window(seconds)?.arrivals ?? 0) === 0
}

/** All requests to the new revision, once it has all its workers. */
function promote(input: RolloutInput, progress: RolloutStatus, hasTraffic: boolean, why: string): RolloutDecision {
  const { next, wanted, old } = input
  if (!isUp(input, wanted)) {
    const words = `waits for ${wanted} workers to be promoted`
    const waiting = hold(input, progress, words, wanted)
    return hasTraffic ? waiting : { ...waiting, traffic: [{ revision: old.revision, percent: 100 }] }
  }
  return {
    outcome: 'Promoted',
    status: undefined,
    reason: 'Promoted',
    message: `revision ${next.revision} has all traffic; ${why}`,
    traffic: [{ revision: next.revision, percent: 100 }],
    replicas: wanted,
  }
}

/** Stays at its step. */
function hold(input: RolloutInput, progress: RolloutStatus, why?: string, atLeast?: number): RolloutDecision {
  const { rollout, next, told, wanted } = input
  const index = indexOf(rollout, progress)
  const percent = rollout.steps[index]?.percent ?? 0
  const reason = rollout.paused ? 'CanaryPaused' : 'CanaryProgressing'
  const where = `step ${index + 1} of ${rollout.steps.length}: ${percent} % of the requests go to revision ${next.revision}`
  return {
    outcome: 'Progressing',
    status: paused(input, progress),
    reason,
    message: [
      `${where}${why === undefined ? '' : `; ${why}`}`,
      ...(progress.message === undefined ? [] : [progress.message]),
    ].join('; '),
    traffic: wanted === 0 ? withoutStrangers(input, told) : stepTraffic(input, percent),
    replicas: wanted === 0 ? 0 : Math.min(wanted, Math.max(next.replicas, atLeast ?? 0, needs(input, index))),
  }
}

/** The step's shares; while the old revision has no worker, the new one gets all. */
function stepTraffic({ next, old }: RolloutInput, percent: number): Traffic {
  const share = old.ready === 0 && next.ready > 0 ? 100 : percent
  return [
    { revision: old.revision, percent: 100 - share },
    { revision: next.revision, percent: share },
  ]
}

function withoutStrangers({ next, old }: RolloutInput, told: Traffic): Traffic {
  const known = told.filter(({ revision }) => revision === next.revision || revision === old.revision)
  const all = known.reduce((sum, { percent }) => sum + percent, 0) === 100
  return all ? known : [{ revision: old.revision, percent: 100 }]
}

function rollBack(input: RolloutInput, progress: RolloutStatus, verdict: Verdict): RolloutDecision {
  return rolledBack(input, {
    ...progress,
    state: 'RolledBack',
    orders: [...input.orders],
    message: `${verdict.reason}: ${verdict.message}`.slice(0, 1_000),
  })
}

const rolledBackReasons = ['NotReady', 'TooManyErrors', 'TooSlow', 'Disagrees', 'Aborted'] as const

function rolledBack({ old }: RolloutInput, status: RolloutStatus): RolloutDecision {
  const message = status.message ?? ''
  const reason = rolledBackReasons.find((each) => message.startsWith(`${each}: `)) ?? 'Aborted'
  return {
    outcome: 'RolledBack',
    status,
    reason,
    message: `revision ${status.revision} was rolled back, revision ${old.revision} serves: ${message.replace(`${reason}: `, '')}`,
    traffic: [{ revision: old.revision, percent: 100 }],
    replicas: 0,
  }
}

function judge(input: RolloutInput, progress: RolloutStatus, hasTraffic: boolean): Verdict | undefined {
  if (input.next.trouble !== undefined) return { reason: 'NotReady', message: input.next.trouble }
  if (!hasTraffic) return undefined
  const compared = comparison(input, progress)
  return compared === undefined ? undefined : compare(input.rollout, compared)
}

/** Both revisions since the canary began, or within the window where that is shorter; undefined while nothing is known. */
function comparison(input: RolloutInput, progress: RolloutStatus): Compared | undefined {
  const seconds = analysisSeconds(input, progress)
  const all = of(input, seconds)
  if (all === undefined) return undefined
  const readySeconds = (input.now - input.next.newestReady) / 1_000
  const warmSeconds = Math.min(seconds, Math.min(secondsOfCanary(input, progress), readySeconds) - warmUpSeconds)
  return { ...all, warm: of(input, warmSeconds) ?? { next: nothingSeen, old: nothingSeen } }
}

function of({ demand, next, old }: RolloutInput, seconds: number): Pick<Compared, 'next' | 'old'> | undefined {
  if (seconds < 1) return undefined
  const window = demand.window(seconds)
  if (window === undefined) return undefined
  const { revisions } = window
  return { next: revisions.get(next.revision) ?? nothingSeen, old: revisions.get(old.revision) ?? nothingSeen }
}

/** Not further back than the canary began: requests of an earlier try of the same revision do not count. */
function analysisSeconds(input: RolloutInput, progress: RolloutStatus): number {
  return Math.min(input.rollout.analysis.windowSeconds, secondsOfCanary(input, progress))
}

function secondsOfCanary({ rollout, now }: RolloutInput, progress: RolloutStatus): number {
  const before = rollout.steps.slice(0, indexOf(rollout, progress)).reduce((sum, { seconds }) => sum + seconds, 0)
  return before + elapsedSeconds(progress, now)
}

function paused({ rollout }: RolloutInput, progress: RolloutStatus): RolloutStatus {
  return { ...progress, state: rollout.paused ? 'Paused' : 'Progressing' }
}

function indexOf(rollout: RolloutInput['rollout'], { step: index }: RolloutStatus): number {
  return Math.min(index, rollout.steps.length - 1)
}

/**
 * Workers of the new revision for a step: so many that each has no more to do than one of the old revision, which keeps all of its
 * own; else the comparison of latencies would not be fair. One at least, and no more than are wanted.
 */
function needs({ rollout, wanted }: RolloutInput, index: number): number {
  const percent = rollout.steps[index]?.percent ?? 0
  return Math.min(Math.max(1, wanted), Math.max(1, Math.ceil((wanted * percent) / (100 - percent))))
}

function isUp({ next }: RolloutInput, workers: number): boolean {
  return next.settled && next.ready >= workers
}

function elapsedSeconds({ stepStartedTime }: RolloutStatus, now: number): number {
  return Math.max(0, (now - Date.parse(stepStartedTime)) / 1_000)
}

const time = (now: number) => new Date(now).toISOString()
