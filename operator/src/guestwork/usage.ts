import type { GuestWork } from '../api/guest-work.ts'
import { type Amounts, add, amountsOf } from './resources.ts'

/** What leases of a policy have already: how many are granted, and what their workers reserve, draining ones too. */
export type Usage = { readonly leases: number; readonly amounts: Amounts }

/** Sums up the guest work of a policy, but for what `except` says. */
export function usageOf(
  policyName: string,
  guestWorks: readonly GuestWork[],
  except: (work: GuestWork) => boolean = () => false,
): Usage {
  let leases = 0
  let amounts: Amounts = new Map()
  for (const work of guestWorks) {
    if (work.status?.policyName !== policyName || !holds(work) || except(work)) continue
    if (work.status.decision === 'Granted') leases += 1
    amounts = add(amounts, amountsOf(work.status.reserved))
  }
  return { leases, amounts }
}

/** Whether work takes room: it has a lease, or its objects are still there. */
export function holds({ status }: GuestWork): boolean {
  return status?.decision === 'Granted' || status?.local !== undefined
}

/** Whether `a` was granted before `b`: where too much was granted, the newest ends first. */
export function isOlder(a: GuestWork, b: GuestWork): boolean {
  const timeOf = (work: GuestWork) => work.status?.lease?.grantedTime ?? work.metadata.creationTimestamp ?? ''
  return timeOf(a) === timeOf(b) ? a.metadata.name < b.metadata.name : timeOf(a) < timeOf(b)
}
