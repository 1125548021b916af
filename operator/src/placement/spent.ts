import type { RefusalReason } from '../api/guest-work-reasons.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import type { RemoteWorkReason } from '../api/remote-work-reasons.ts'
import { conditionOf } from '../kube/conditions.ts'

/** An attempt is over and the same is asked again, after a while; or it is not. */
export type Spent = { spent: true; afterSeconds: number } | { spent: false }

const firstPauseSeconds = 5
const longestPauseSeconds = 300

/** A person there decided: who asks again by himself is a nuisance. */
const final: ReadonlySet<string> = new Set<RefusalReason>(['Vetoed'])
/** What stands in the way of asking again at once. */
const barred: ReadonlySet<string> = new Set<RemoteWorkReason>(['EgressDenied', 'SpendLimit', 'PeerNotReady'])
const over: ReadonlySet<string> = new Set<RemoteWorkReason>(['Cancelled', 'Ended', 'LeaseExpired', 'RequestExpired'])

/**
 * Whether nothing comes of the RemoteWork any more: it was cancelled, or its lease is over. A refusal is not the end: the peer decides
 * anew by itself when its policy, its window or its load changes.
 */
export function isSpent(work: RemoteWork, now: number): Spent {
  const { conditions, answer } = work.status ?? {}
  const granted = conditionOf(conditions, 'Granted')
  if (granted === undefined || !over.has(granted.reason)) return { spent: false }
  const delivered = conditionOf(conditions, 'Delivered')
  if (delivered !== undefined && barred.has(delivered.reason)) return { spent: false }
  const reasons = answer?.refusals ?? []
  if (granted.reason === 'Ended' && reasons.some(({ reason }) => final.has(reason))) return { spent: false }
  const pause = Math.min(longestPauseSeconds, firstPauseSeconds * 2 ** Math.min(work.spec.work.attempt - 1, 10))
  const began = Date.parse(granted.lastTransitionTime)
  return { spent: true, afterSeconds: Math.max(0, pause - (now - began) / 1000) }
}
