import type { RemoteWork } from '../api/remote-work.ts'
import { conditionOf, isTrue } from '../kube/conditions.ts'

/**
 * Settled: its workers serve, or had their time to come up. Coming: asked, or granted and starting. Failed: refused, ended, lost, not
 * affordable, or without an answer for too long; nothing is to be expected of it now.
 */
export type PartState = 'Settled' | 'Coming' | 'Failed'

/** A peer whose operator does not answer is like one that refuses. */
const answerSeconds = 60

const hopeless: ReadonlySet<string> = new Set(['EgressDenied', 'SpendLimit', 'RefusedByLink'])

/** How it stands with one RemoteWork; `loadSeconds` is how long workers may take to come up. */
export function partState(work: RemoteWork, now: number, loadSeconds: number): PartState {
  const { conditions, answer } = work.status ?? {}
  const granted = conditionOf(conditions, 'Granted')
  const age = (time: string | undefined) => (time === undefined ? 0 : (now - Date.parse(time)) / 1000)
  if (isTrue(conditions, 'Granted') || granted?.reason === 'LeaseUncertain') {
    const since = age(granted?.lastTransitionTime)
    const running = conditionOf(conditions, 'Running')
    if (running?.reason === 'Failed' && since > loadSeconds) return 'Failed'
    return isTrue(conditions, 'Ready') || since > loadSeconds ? 'Settled' : 'Coming'
  }
  if (answer?.decision === 'Refused' || answer?.decision === 'Ended' || granted?.status === 'False') return 'Failed'
  const delivered = conditionOf(conditions, 'Delivered')
  if (delivered !== undefined && hopeless.has(delivered.reason)) return 'Failed'
  return age(work.metadata.creationTimestamp) > answerSeconds ? 'Failed' : 'Coming'
}

/** Why it failed, in words of the peer or of ours. */
export function whyFailed({ status }: RemoteWork): string[] {
  const refusals = (status?.answer?.refusals ?? []).map(({ reason }) => reason)
  if (refusals.length > 0) return refusals
  const found = (['Delivered', 'Granted', 'Running'] as const)
    .map((type) => conditionOf(status?.conditions, type))
    .find((each) => each?.status === 'False')
  return [found?.reason ?? 'NoAnswer']
}
