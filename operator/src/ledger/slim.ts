import type { GuestWork } from '../api/guest-work.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import type { Live } from '../kube/resource.ts'
import { dropManagedFields } from '../kube/transform.ts'

/** Leaves out letters, which are large and none of the ledger's business; the request stays, which says class and purpose. */
export function slimGuest(guest: Live<GuestWork>): Live<GuestWork> {
  const {
    inbox: _inbox,
    outbox: _outbox,
    delivered: _delivered,
    conditions: _conditions,
    ...status
  } = guest.status ?? {}
  return dropManagedFields({ ...guest, status })
}

/** As `slimGuest`; of models nothing is read. */
export function slimWork(work: Live<RemoteWork>): Live<RemoteWork> {
  const {
    inbox: _inbox,
    outbox: _outbox,
    delivered: _delivered,
    conditions: _conditions,
    ...status
  } = work.status ?? {}
  const spec = { ...work.spec, work: { ...work.spec.work, models: [] } }
  if (spec.cancelled !== undefined) spec.cancelled = { ...spec.cancelled, envelope: '' }
  return dropManagedFields({ ...work, spec, status })
}
