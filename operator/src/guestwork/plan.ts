import type { GuestWork } from '../api/guest-work.ts'
import type { GuestWorkReason, RefusalReason } from '../api/guest-work-reasons.ts'
import type { Refusal } from '../api/remote-work.ts'
import type { Decision, Reason } from './decide.ts'
import type { Veto } from './veto.ts'

/** What guest work is decided by. */
export type Facts = {
  readonly guest: GuestWork
  /** The Peer is gone, and with it whoever could hear us. */
  readonly peerGone: boolean
  /** Whether the peer is verified and its request is authentic; undefined: cannot be told now. */
  readonly authentic: boolean | undefined
  /** Whether the peer has confirmed what it saw of us, so that numbers are safe to give. */
  readonly recovered: boolean
  readonly cancelled: boolean
  readonly veto: Veto | undefined
  /** Why foreign work is frozen, if it is. */
  readonly frozen: string | undefined
  readonly decide: () => Decision
  /** Why the policy of a lease allows it no more; nothing: it does. */
  readonly stillAllowed: () => readonly Reason[]
  /** Our own pods need its room. */
  readonly preempted: boolean
  /** Whether the lease's time is over. */
  readonly leaseOver: () => boolean
}

type GrantedReason = Extract<
  GuestWorkReason,
  'Cancelled' | 'LeaseExpired' | 'WindowClosed' | 'Preempted' | 'Vetoed' | 'Frozen' | 'PolicyChanged'
>

export type Plan =
  /** Nothing can be said now. */
  | { readonly do: 'Wait' }
  /** A grant waits for the peer's confirmation, or for a policy that is being looked at. */
  | { readonly do: 'Hold'; readonly for: 'Confirmation' | 'Policy' }
  | { readonly do: 'Refuse'; readonly refusals: Refusal[] }
  | { readonly do: 'Grant'; readonly granted: Extract<Decision, { decision: 'Granted' }> }
  | { readonly do: 'Keep' }
  | { readonly do: 'End'; readonly reason: GrantedReason; readonly refusals: Refusal[]; readonly veto?: Veto }
  | { readonly do: 'StayEnded' }

/** What becomes of guest work; pure, and the same however often it is asked. An end is final: the requester asks anew. */
export function plan(facts: Facts): Plan {
  const decided = facts.guest.status?.decision
  if (decided === 'Ended') return { do: 'StayEnded' }
  return decided === 'Granted' ? planLease(facts) : planRequest(facts)
}

function planRequest({ peerGone, authentic, cancelled, veto, frozen, recovered, decide }: Facts): Plan {
  if (peerGone || authentic !== true) return { do: 'Wait' }
  if (cancelled) return end('Cancelled', 'Cancelled', 'the requester cancelled it')
  if (veto !== undefined) return { ...end('Vetoed', 'Vetoed', veto.message), veto }
  if (frozen !== undefined) return { do: 'Refuse', refusals: [{ reason: 'Frozen', message: frozen }] }
  const decision = decide()
  switch (decision.decision) {
    case 'Refused':
      return { do: 'Refuse', refusals: decision.refusals }
    case 'Pending':
      return { do: 'Hold', for: 'Policy' }
    case 'Granted':
      return recovered ? { do: 'Grant', granted: decision } : { do: 'Hold', for: 'Confirmation' }
    default:
      return decision satisfies never
  }
}

function planLease(facts: Facts): Plan {
  const { veto } = facts
  if (veto !== undefined) {
    return veto.action === 'Preempt'
      ? { ...end('Preempted', 'Preempted', veto.message), veto }
      : { ...end('Vetoed', 'Vetoed', veto.message), veto }
  }
  if (facts.peerGone) return end('PolicyChanged', 'PolicyChanged', 'the Peer was deleted')
  if (facts.frozen !== undefined) {
    const frozen = { action: 'Freeze' as const, message: facts.frozen }
    return { ...end('Frozen', 'Frozen', facts.frozen), veto: frozen }
  }
  if (facts.cancelled) return end('Cancelled', 'Cancelled', 'the requester cancelled it')
  if (facts.leaseOver()) return end('LeaseExpired', 'LeaseExpired', 'no renewal came in time')
  if (facts.preempted) return end('Preempted', 'Preempted', 'pods of the owner need the resources')
  const reasons = facts.stillAllowed()
  if (reasons.length === 0) return { do: 'Keep' }
  const closed = reasons.every(({ reason }) => reason === 'OutsideWindow')
  const reason = closed ? 'WindowClosed' : 'PolicyChanged'
  return { do: 'End', reason, refusals: [{ reason, message: 'the lease was ended' }, ...reasons].slice(0, 32) }
}

function end(reason: GrantedReason, refusal: RefusalReason, message: string): Extract<Plan, { do: 'End' }> {
  return { do: 'End', reason, refusals: [{ reason: refusal, message }] }
}
