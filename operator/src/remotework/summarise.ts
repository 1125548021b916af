import type { ReasonCatalogue } from '../api/reason.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import { type RemoteWorkConditionType, type RemoteWorkReason, remoteWorkReasons } from '../api/remote-work-reasons.ts'
import type { Condition } from '../api/resource.ts'
import type { Egress } from '../egresspolicy/allow.ts'
import { setConditions } from '../kube/conditions.ts'
import type { Counterpart } from './counterpart.ts'
import type { Draft } from './draft.ts'

/** Many refusals make long messages; all of them are in `status.answer`. */
const maxMessage = 4096

type Finding = { type: RemoteWorkConditionType; reason: RemoteWorkReason; message: string }

export type Seen = { work: RemoteWork; draft: Draft; egress: Egress; to: Counterpart }

/** The conditions of a RemoteWork, from what is about to be written. */
export function summarise(seen: Seen, now: Date): Condition[] {
  const { metadata, status } = seen.work
  const findings = [delivered(seen), granted(seen)]
  const running = runningOf(seen, statusOf(findings[1] ?? findings[0]) === 'True')
  findings.push(running)
  const first = findings.find((finding) => statusOf(finding) !== 'True')
  const ready: Condition['status'] = first === undefined ? 'True' : statusOf(first)
  const conditions = findings.map((finding) => ({ ...finding, status: statusOf(finding) }))
  conditions.push(
    first === undefined
      ? { type: 'Ready', reason: 'Ready', message: 'the peer runs the work', status: ready }
      : { ...first, type: 'Ready', status: ready },
  )
  const { generation: observedGeneration = 0 } = metadata
  return setConditions(
    status?.conditions,
    conditions.map((each) => ({ ...each, message: each.message.slice(0, maxMessage), observedGeneration })),
    now,
  )
}

function delivered({ work, draft, egress, to }: Seen): Finding {
  const finding = (reason: RemoteWorkReason, message: string): Finding => ({ type: 'Delivered', reason, message })
  if (!egress.allowed) return finding(egress.reason, egress.denials.map(({ message }) => message).join('; '))
  if (to.state !== 'Ready') return finding('PeerNotReady', to.message)
  const { name } = work.spec.peerRef
  const sent = draft.outbox?.find(({ kind }) => kind === 'Request')
  if (sent === undefined) return finding('Waiting', `nothing is asked of ${name}`)
  const taken = work.status?.delivered?.find(({ kind }) => kind === 'Request')
  // Who answers has it, whether or not our link could write that down.
  if (draft.answer !== undefined || (taken !== undefined && taken.sequence >= sent.sequence))
    return finding('Delivered', `${name} has the request`)
  if (taken?.refusal !== undefined) return finding('RefusedByLink', `the link of ${name}: ${taken.refusal}`)
  return finding(
    'Waiting',
    to.isConnected ? `the request is on its way to ${name}` : `there is no connection to ${name}`,
  )
}

function granted({ work, draft, to }: Seen): Finding {
  const finding = (reason: RemoteWorkReason, message: string): Finding => ({ type: 'Granted', reason, message })
  const { answer, lease } = draft
  const { name } = work.spec.peerRef
  if (draft.outbox?.some(({ kind }) => kind === 'Cancel')) return finding('Cancelled', 'we cancelled it')
  if (to.state === 'Gone' && lease !== undefined) return finding('Ended', to.message)
  if (answer?.decision === 'Ended') return finding('Ended', `${name} ended it: ${reasons(answer.refusals)}`)
  if (lease?.state === 'Ended') {
    return answer === undefined
      ? finding('RequestExpired', `${name} did not take the request in time`)
      : finding('LeaseExpired', 'the lease was not renewed in time')
  }
  if (lease?.state === 'Uncertain') {
    return finding(
      'LeaseUncertain',
      `${name} was not heard of in time; the work may run there for up to ${lease.ttlSeconds} s after ${lease.signedTime}`,
    )
  }
  if (lease !== undefined)
    return finding('Granted', `${name} granted a lease of ${lease.ttlSeconds} s, epoch ${lease.epoch}`)
  if (answer?.decision === 'Refused') return finding('Refused', `${name} refused: ${reasons(answer.refusals)}`)
  return finding('Deciding', `${name} has not answered yet`)
}

function reasons(refusals: readonly { reason: string; message: string }[] | undefined): string {
  return (refusals ?? []).map(({ reason, message }) => `${reason}: ${message}`).join('; ') || 'without a reason'
}

/** Words of a report that name no failure. */
const underWay: ReadonlySet<string> = new Set(['', 'Running', 'Progressing', 'Ready', 'Draining', 'Stopped'])

function runningOf({ work, draft, to }: Seen, isGranted: boolean): Finding {
  const finding = (reason: RemoteWorkReason, message: string): Finding => ({ type: 'Running', reason, message })
  const { name } = work.spec.peerRef
  if (draft.lease?.state === 'Uncertain') return finding('NotKnown', `${name} was not heard of in time`)
  if (!isGranted) return finding('NotGranted', 'nothing runs without a lease')
  if (to.state !== 'Ready' || !to.isConnected) return finding('NotKnown', `there is no connection to ${name}`)
  const wanted = work.spec.work.replicas
  const ready = draft.readyReplicas ?? 0
  const count = `${ready} of ${wanted} workers are ready at ${name}`
  if (ready >= wanted) return finding('Running', count)
  const { reported } = draft
  if (reported === undefined || underWay.has(reported.reason)) {
    return finding('Progressing', reported?.message ? `${count}: ${reported.message}` : count)
  }
  return finding('Failed', `${count}: ${reported.reason}: ${reported.message}`)
}

function statusOf(finding: Finding | undefined): Condition['status'] {
  const catalogues: Readonly<Record<string, ReasonCatalogue>> = remoteWorkReasons
  const text = finding === undefined ? undefined : catalogues[finding.type]?.[finding.reason]
  if (text === undefined) throw new Error(`reason ${finding?.reason} is not in the catalogue of ${finding?.type}`)
  return text.status
}
