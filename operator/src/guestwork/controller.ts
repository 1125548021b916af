import type { GuestWork } from '../api/guest-work.ts'
import { type LeaseStep, stepLease } from '../grant/executor.ts'
import type { Now } from '../grant/timing.ts'
import type { ReconcileContext, ReconcileResult } from '../kube/controller.ts'
import { guestWorks as guestWorkResource } from '../kube/hansa-resources.ts'
import { type Live, refOf, refOfKey } from '../kube/resource.ts'
import { windowState } from '../sharepolicy/windows.ts'
import { type Case, type Later, nowOf } from './case.ts'
import { forgettableAt } from './cleanup.ts'
import type { GuestWorkDeps } from './deps.ts'
import { end, stayEnded } from './end.ts'
import { grant } from './grant.ts'
import { keep } from './keep.ts'
import { removeOrphans } from './locals.ts'
import { look, type Seen } from './look.ts'
import { plan } from './plan.ts'
import { say } from './say.ts'

// No timer sleeps longer: windows and clocks may change meanwhile.
const longestMilliseconds = 6 * 3_600_000

/** Decides on what a peer asks, and sees to it that it is done and ended; key `namespace/name` of a GuestWork. */
export async function reconcileGuestWork(
  key: string,
  { signal }: ReconcileContext,
  deps: GuestWorkDeps,
): Promise<ReconcileResult> {
  const guest = deps.guestWorks.get(refOfKey(key))
  if (guest === undefined || guest.metadata.deletionTimestamp !== undefined) {
    await removeOrphans(key, deps, signal)
    return {}
  }
  const now = nowOf(deps.clock)
  const seen = look(guest, deps)
  const { peerGone } = seen.facts
  const forgettable = forgettableAt(guest, { peerGone, requestExpires: seen.request?.expires, now: now.wallMs })
  if (forgettable !== undefined && forgettable <= now.wallMs) {
    const { uid, resourceVersion } = guest.metadata
    await deps.client.delete(guestWorkResource, refOf(guest), { signal, uid, resourceVersion })
    return {}
  }
  const step = leaseStep(guest, seen, now, deps)
  const { afterMs } = await act({ guest, seen, step, now, signal }, deps)
  const next = [
    afterMs,
    step?.afterMs,
    forgettable === undefined ? undefined : forgettable - now.wallMs,
    windowChange(seen, guest.spec.peerRef.name, now.wallMs),
    longestMilliseconds,
  ]
  const soonest = Math.min(...next.map((each) => each ?? longestMilliseconds))
  return { afterSeconds: Math.max(0.01, soonest / 1_000) }
}

async function act(each: Case, deps: GuestWorkDeps): Promise<Later> {
  const next = plan({ ...each.seen.facts, leaseOver: () => each.step?.ended === 'LeaseExpired' })
  switch (next.do) {
    case 'Grant':
      return grant(each, next.granted, deps)
    case 'Keep':
      return keep(each, deps)
    case 'End':
      return end(each, next, deps)
    case 'StayEnded':
      return stayEnded(each, deps)
    case 'Wait':
    case 'Hold':
    case 'Refuse':
      return say(each, next, deps)
    default:
      return next satisfies never
  }
}

function leaseStep(
  { metadata, status }: Live<GuestWork>,
  seen: Seen,
  now: Now,
  deps: GuestWorkDeps,
): LeaseStep | undefined {
  if (status?.decision !== 'Granted' || status.lease === undefined) return undefined
  return stepLease({
    workload: seen.request?.work.workload ?? 'Serve',
    lease: status.lease,
    memory: deps.memory.leases.get(metadata.uid),
    cancelled: false,
    renewal: seen.renewal,
    nonce: deps.nonce(),
    now,
  })
}

/** When a window opens or closes that this work depends on. */
function windowChange({ policy, views }: Seen, peerName: string, now: number): number | undefined {
  const named =
    policy === undefined ? views.filter(({ spec }) => spec.peers.some(({ name }) => name === peerName)) : [policy]
  const changes = named.flatMap(({ spec, problem }) => {
    if (problem?.reason === 'TimeZoneUnknown') return []
    const state = windowState(spec.windows, now)
    const change = state.open ? state.closes : state.opens
    return change === undefined ? [] : [change - now]
  })
  return changes.length === 0 ? undefined : Math.max(1, Math.min(...changes))
}
