import type { GuestWork } from '../../api/guest-work.ts'
import type { ReceiptBook } from '../receipts/receipt-book.ts'
import type { Route } from '../route/route.ts'
import type { GuestHead } from './guest-head.ts'
import type { GuestTerms } from './guest-terms.ts'

/** Why a request of a peer goes to no worker. */
export type WorkRefusal = { status: number; reason: string; message: string; retryAfterSeconds?: number }

export type GuestFacts = {
  peer: string
  guest: Pick<GuestHead, 'epoch' | 'dataClass' | 'purpose'>
  /** What we granted to this peer under this id; undefined: nothing. */
  work: GuestWork | undefined
  /** Label of the objects that were made for it. */
  label: string
  terms: GuestTerms | undefined
  /** Of the InferenceService that was made for it. */
  route: Route | undefined
  problem: ReturnType<ReceiptBook['problem']>
  isDraining: boolean
}

/** Whether a request of a peer is let in; default deny, by what we granted and by nothing that the peer says of itself. */
export function judgeGuest(facts: GuestFacts): WorkRefusal | { route: Route; terms: GuestTerms } {
  const { guest, work, label, terms, route } = facts
  if (facts.isDraining) return later('Draining', 'the gateway is shutting down')
  // One answer for whatever is not the peer's, so that ids of requests cannot be guessed at.
  if (work === undefined || work.metadata.deletionTimestamp !== undefined || work.status?.decision !== 'Granted') {
    return never('WorkNotGranted', 'no such work is granted to this peer now')
  }
  if (terms === undefined) return never('WorkNotGranted', 'the request for this work cannot be read here')
  // The gateway hears of a grant and of its workers by two ways.
  if (route?.spec.guest === undefined || route.spec.guest.work !== label) {
    return later('NoReadyWorker', 'the workers of this work are not known here yet')
  }
  const epochs = [work.status.lease?.epoch, route.spec.guest.lease?.epoch]
  if (epochs.some((epoch) => epoch !== guest.epoch)) return later('WrongEpoch', 'the lease has another epoch')
  if (!((route.leaseLeft ?? 0) > 0)) return later('LeaseOver', 'the lease is over')
  if (guest.dataClass !== terms.dataClass)
    return never('WrongDataClass', 'the work was asked for with another data class')
  if (guest.purpose !== terms.purpose) return never('WrongPurpose', 'the work was asked for with another purpose')
  if (facts.problem === 'NotAgreed') return later('ReceiptsNotAgreed', 'too much of what was done is not agreed yet')
  if (facts.problem === 'SpoolFull') return later('SpoolFull', 'no receipt can be written now')
  return { route, terms }
}

function never(reason: string, message: string): WorkRefusal {
  return { status: 403, reason, message }
}

function later(reason: string, message: string): WorkRefusal {
  return { status: 503, reason, message, retryAfterSeconds: 1 }
}
