import type { GuestWork } from '../api/guest-work.ts'
import { isDelivered } from './outbox.ts'
import { holds } from './usage.ts'

// How long the end of work can be read here at least.
const keptMilliseconds = 3_600_000
// How long an end is kept for a peer that does not come to fetch it.
const longestMilliseconds = 7 * 24 * 3_600_000

/** What the age of guest work depends on, in milliseconds since 1970. */
export type Age = {
  readonly peerGone: boolean
  /** When the request expires: until then links must know it, so that it is not taken a second time. Undefined: not known. */
  readonly requestExpires: number | undefined
  readonly now: number
}

/**
 * When a GuestWork may be deleted; undefined: not by time. Ended work goes an hour after its end, not before its request has expired and,
 * for a week, not before the peer knows. What never became authentic goes after an hour. A refused request stays: it may yet be granted.
 */
export function forgettableAt(guest: GuestWork, { peerGone, requestExpires, now }: Age): number | undefined {
  if (holds(guest)) return undefined
  const { status, metadata } = guest
  const expires = requestExpires ?? 0
  if (peerGone) return Math.max(expires, Date.parse(metadata.creationTimestamp ?? '') || now)
  if (status?.decision === 'Ended') {
    const ended = lastTransition(guest, 'Granted') ?? now
    const wait = status !== undefined && isDelivered(status, 'Answer') ? keptMilliseconds : longestMilliseconds
    return Math.max(expires, ended + wait)
  }
  const refused = status?.conditions?.find(({ type }) => type === 'Authentic')?.status === 'False'
  return refused ? Math.max(expires, (lastTransition(guest, 'Authentic') ?? now) + keptMilliseconds) : undefined
}

function lastTransition({ status }: GuestWork, type: string): number | undefined {
  const time = status?.conditions?.find((each) => each.type === type)?.lastTransitionTime
  return time === undefined ? undefined : Date.parse(time)
}
