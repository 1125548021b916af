import type { RefusalReason } from '../api/guest-work-reasons.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import { conditionOf } from '../kube/conditions.ts'

/** Refusals for want of room: the peer may have it when the old work is gone. */
const wantOfRoom: ReadonlySet<string> = new Set<RefusalReason>([
  'QuotaExceeded',
  'TooManyLeases',
  'NotIdle',
  'ResourceNotOffered',
])

/** Whether only the old work stands in the way of the new: it then makes room, as a Deployment with strategy Recreate does. */
export function lacksRoom({ status }: RemoteWork): boolean {
  if (conditionOf(status?.conditions, 'Delivered')?.reason === 'SpendLimit') return true
  const refusals = status?.answer?.decision === 'Refused' ? (status.answer.refusals ?? []) : []
  return refusals.length > 0 && refusals.every(({ reason }) => wantOfRoom.has(reason))
}
