import type { GuestWork } from '../api/guest-work.ts'
import type { Work } from '../api/remote-work.ts'
import { isMeterDue, type Metered, meter } from './meter.ts'
import { localName } from './names.ts'
import type { PodTimes } from './pod-times.ts'
import { gpusOf, workerAmounts } from './resources.ts'
import type { OwnStatus } from './write.ts'

/** The operator's fields of the status as they are, to be changed by a step. */
export function ownStatus({ metadata, status = {} }: GuestWork): OwnStatus {
  const { inbox: _inbox, delivered: _delivered, outbox: _outbox, ...own } = status
  return { ...own, observedGeneration: metadata.generation ?? 0 }
}

/** `namespace/name` of the InferenceService of guest work. */
export function serviceKey(guest: GuestWork): string | undefined {
  const namespace = guest.status?.local?.namespace
  return namespace === undefined ? undefined : `${namespace}/${localName(guest)}`
}

/** GPU seconds so far; counted anew when a pod began or ended, or when `always`, never because time passes. */
export function metered(
  guest: GuestWork,
  work: Work | undefined,
  times: Pick<PodTimes, 'timesOf'>,
  now: number,
  always: boolean,
): Metered | undefined {
  const { lease, gpuSeconds = 0, meteredTime = lease?.grantedTime } = guest.status ?? {}
  const service = serviceKey(guest)
  if (meteredTime === undefined) return undefined
  const before = { gpuSeconds, meteredTime }
  if (service === undefined || work === undefined) return before
  const pods = times.timesOf(service)
  return always || isMeterDue(before, pods) ? meter(before, pods, gpusOf(workerAmounts(work)), now) : before
}
