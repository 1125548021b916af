import type { RemoteWork } from '../api/remote-work.ts'
import type { Spent } from './allow.ts'
import { worstMicrosPerDay } from './cost.ts'

type Reservation = { policy: string; currency: string; microsPerDay: number }

export type Spending = {
  /** What all work but that of the request may cost, by policy. */
  others(requestId: string): Spent
  /** Counts the work from now on, before the API server knows: two requests at once must not spend the same money. */
  reserve(requestId: string, policy: string, work: RemoteWork['spec']['work']): void
  /** The request is not to be sent, or its object is gone. */
  release(requestId: string): void
}

/**
 * Counts what runs, or may run, for each policy. Rates are added up, not bills: while the rates of all leases stay below the limit
 * of a day, no 24 hours can cost more. So work counts from its request until the peer has taken its end, or its lease is over.
 */
export function createSpending(works: () => readonly RemoteWork[]): Spending {
  const reserved = new Map<string, Reservation>()

  function countedWithout(requestId: string): Map<string, Reservation> {
    const counted = new Map(reserved)
    for (const work of works()) {
      const reservation = reservationOf(work)
      if (reservation !== undefined) counted.set(requestIdOf(work), reservation)
      // What the API server knows counts more than what was meant.
      else if (work.status?.egressPolicyName !== undefined) counted.delete(requestIdOf(work))
    }
    counted.delete(requestId)
    return counted
  }

  return {
    others: (requestId) => {
      let counted: Map<string, Reservation> | undefined
      // Counted when somebody asks: what is free never does, and there may be ten thousand of it.
      return (policy, currency) => {
        counted ??= countedWithout(requestId)
        return [...counted.values()]
          .filter((each) => each.policy === policy && each.currency === currency)
          .reduce((sum, { microsPerDay }) => sum + microsPerDay, 0)
      }
    },
    reserve: (requestId, policy, work) => {
      const { maxPrice } = work
      if (maxPrice === undefined) return
      reserved.set(requestId, { policy, currency: maxPrice.currency, microsPerDay: worstMicrosPerDay(work) })
    },
    release: (requestId) => {
      reserved.delete(requestId)
    },
  }
}

/** The id of the request: of a tombstone, that of the object which it is left of. */
export function requestIdOf({ metadata, spec }: RemoteWork): string {
  return spec.cancelled?.requestId ?? metadata.uid ?? ''
}

function reservationOf(work: RemoteWork): Reservation | undefined {
  const { spec, status } = work
  const policy = spec.cancelled?.egressPolicyName ?? status?.egressPolicyName
  const { maxPrice } = spec.work
  if (policy === undefined || maxPrice === undefined || isOver(work)) return undefined
  return { policy, currency: maxPrice.currency, microsPerDay: worstMicrosPerDay(spec.work) }
}

/** Whether nothing can run there any more: the peer took our Cancel, or we cancelled and the lease is over. */
function isOver({ status }: RemoteWork): boolean {
  const cancel = status?.outbox?.find(({ kind }) => kind === 'Cancel')
  if (cancel === undefined) return false
  const taken = status?.delivered?.find(({ kind }) => kind === 'Cancel')?.sequence ?? -1
  return taken >= cancel.sequence || status?.lease?.state === 'Ended'
}
