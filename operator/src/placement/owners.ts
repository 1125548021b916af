import type { InferenceServiceStatus } from '../api/inference-service.ts'
import { inferenceServiceReasons, type PeersReadyReason } from '../api/inference-service-reasons.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import type { RemoteWorkReason } from '../api/remote-work-reasons.ts'
import type { NewCondition } from '../kube/conditions.ts'
import { conditionOf, isTrue } from '../kube/conditions.ts'
import type { OwnerPlan } from './plan.ts'

export type OwnerStatus = NonNullable<InferenceServiceStatus['owners']>[number]

const maxMessage = 2048

/** How it stands at one peer, as `status.owners` says it. */
export function ownerStatus({ peer, wanted, current, superseded, more = [], unplaced }: OwnerPlan): OwnerStatus {
  const seen = [current, superseded, ...more].filter((each) => each !== undefined)
  const status = current?.status
  const why = unplaced ?? whyNotReady(current)
  const meanwhile =
    superseded === undefined
      ? ''
      : `; ${superseded.metadata.name}, the state before, keeps running with ${superseded.status?.readyReplicas ?? 0} ready workers`
  const refusals = status?.answer?.refusals ?? []
  return {
    peer,
    ...(current !== undefined && { remoteWork: current.metadata.name }),
    wanted,
    replicas: sum(seen.map((each) => each.status?.replicas ?? 0)),
    readyReplicas: sum(seen.map((each) => each.status?.readyReplicas ?? 0)),
    answer: status?.answer?.decision ?? 'Pending',
    lease: status?.lease?.state ?? 'None',
    ...(why !== undefined && { reason: why.reason, message: `${why.message}${meanwhile}`.slice(0, maxMessage) }),
    ...(refusals.length > 0 && { refusals }),
  }
}

/** RemoteWork's own word on why it is not ready. */
function whyNotReady(current: RemoteWork | undefined): { reason: string; message: string } | undefined {
  if (current === undefined) return { reason: 'PeerDeciding', message: 'it is being asked' }
  if (isTrue(current.status?.conditions, 'Ready')) return undefined
  const ready = conditionOf(current.status?.conditions, 'Ready')
  if (ready === undefined) return { reason: 'PeerDeciding', message: 'it is being asked' }
  return { reason: ready.reason, message: ready.message }
}

const words: Readonly<
  Record<Exclude<RemoteWorkReason, 'Ready' | 'Running' | 'Granted' | 'Delivered'>, PeersReadyReason>
> = {
  Waiting: 'PeerNotReady',
  RefusedByLink: 'PeerRefused',
  EgressDenied: 'EgressDenied',
  SpendLimit: 'SpendLimit',
  PeerNotReady: 'PeerNotReady',
  Deciding: 'PeerDeciding',
  Refused: 'PeerRefused',
  Ended: 'PeerRefused',
  Cancelled: 'PeerRefused',
  LeaseUncertain: 'LeaseUncertain',
  LeaseExpired: 'PeerRefused',
  RequestExpired: 'PeerNotReady',
  Stale: 'PeerRefused',
  Progressing: 'PeerProgressing',
  Failed: 'PeerFailed',
  NotGranted: 'PeerDeciding',
  NotKnown: 'PeerNotReady',
}

/** The sum over all peers: the first that is False, else the first that is Unknown. Undefined where no peer is wanted. */
export function peersReady(owners: readonly OwnerStatus[]): Omit<NewCondition, 'observedGeneration'> | undefined {
  if (owners.length === 0) return undefined
  const findings = owners.flatMap(({ peer, reason, message = '' }) => {
    if (reason === undefined) return []
    const word = wordOf(reason)
    return [
      {
        reason: word,
        status: inferenceServiceReasons.PeersReady[word].status,
        message: `${peer}: ${reason}: ${message}`,
      },
    ]
  })
  const first = findings.find(({ status }) => status === 'False') ?? findings[0]
  if (first !== undefined) return { type: 'PeersReady', ...first }
  const message = `all workers at ${owners.map(({ peer }) => peer).join(', ')} are ready`
  return { type: 'PeersReady', status: 'True', reason: 'PeersReady', message }
}

function wordOf(reason: string): PeersReadyReason {
  if (reason in inferenceServiceReasons.PeersReady) {
    // `in` does not narrow a string; it was just checked.
    return reason as PeersReadyReason
  }
  const known: Readonly<Record<string, PeersReadyReason | undefined>> = words
  return known[reason] ?? 'PeerDeciding'
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}
