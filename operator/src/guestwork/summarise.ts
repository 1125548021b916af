import type { GuestWork, GuestWorkStatus } from '../api/guest-work.ts'
import { type GuestWorkConditionType, type GuestWorkReason, guestWorkReasons } from '../api/guest-work-reasons.ts'
import type { ReasonCatalogue } from '../api/reason.ts'
import type { MessageProblem } from '../federation/federation.ts'
import { type NewCondition, setConditions } from '../kube/conditions.ts'
import type { Running } from './running.ts'

export type Finding = { reason: GuestWorkReason; message: string }

export type Findings = { authentic: Finding; granted?: Finding | undefined; running?: Running | undefined }

/** The conditions of a GuestWork; Ready repeats the first that is not True. */
export function conditionsOf(
  guest: GuestWork,
  findings: Findings,
  now: Date,
): NonNullable<GuestWorkStatus['conditions']> {
  const { authentic, granted, running } = findings
  const list: NewCondition[] = [condition(guest, 'Authentic', authentic)]
  if (granted !== undefined) list.push(condition(guest, 'Granted', granted))
  if (running !== undefined) list.push(condition(guest, 'Running', running))
  const worst = list.find(({ status }) => status !== 'True')
  const undecided: NewCondition = { ...condition(guest, 'Ready', { reason: 'Ready', message: '' }), status: 'Unknown' }
  const ready =
    worst !== undefined
      ? { ...worst, type: 'Ready' }
      : running === undefined
        ? { ...undecided, reason: 'Deciding' }
        : condition(guest, 'Ready', { reason: 'Ready', message: 'the work runs' })
  const known = guest.status?.conditions?.filter(
    ({ type }) => list.some((each) => each.type === type) || type === 'Ready',
  )
  return setConditions(known, [...list, ready], now)
}

function condition({ metadata }: GuestWork, type: GuestWorkConditionType, { reason, message }: Finding): NewCondition {
  const catalogue: ReasonCatalogue = guestWorkReasons[type]
  return {
    type,
    status: catalogue[reason]?.status ?? 'Unknown',
    reason,
    message,
    observedGeneration: metadata.generation ?? 0,
  }
}

/** What the condition Authentic says of a request that opened, or did not. */
export function authenticFinding(problem: MessageProblem | undefined, opened: boolean): Finding {
  if (opened) return { reason: 'Authentic', message: 'signed by the peer, for us' }
  if (problem === undefined)
    return { reason: 'PeerNotReady', message: 'the Peer or its Identity is missing or not ready' }
  const { reason, message } = problem
  switch (reason) {
    case 'Malformed':
    case 'WrongAudience':
    case 'Expired':
    case 'PeerNotReady':
      return { reason, message }
    case 'NotYetValid':
      return { reason: 'PeerNotReady', message }
    case 'SignatureInvalid':
    case 'WrongIssuer':
    case 'KeyRevoked':
      return { reason: 'SignatureInvalid', message }
    default:
      return reason satisfies never
  }
}
