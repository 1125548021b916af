import type { GuestWork } from '../../api/guest-work.ts'
import type { RemoteWork } from '../../api/remote-work.ts'
import { parseCanonicalJson } from '../../federation/canonical-json.ts'
import { readEnvelope } from '../../federation/dsse.ts'
import type { Live } from '../../kube/resource.ts'
import type { DeliveredKind } from '../wire/messages.ts'
import { entryOf } from './mailbox.ts'

/** A message that the peer has not taken yet. */
export type Pending = { kind: DeliveredKind; requestId: string; sequence: number; envelope: string }

/** What of a RemoteWork the peer has not got; after a cancellation nothing else is worth sending. */
export function pendingOfRemoteWork({ metadata, spec, status }: Live<RemoteWork>, now: number): Pending[] {
  const { cancelled } = spec
  if (cancelled !== undefined) {
    const sequence = sequenceOf(cancelled.envelope)
    const over = Date.parse(cancelled.expires) <= now
    if (sequence === undefined || over || sequence <= (entryOf(status?.delivered, 'Cancel')?.sequence ?? -1)) return []
    return [{ kind: 'Cancel', requestId: cancelled.requestId, sequence, envelope: cancelled.envelope }]
  }
  const outbox = status?.outbox ?? []
  const cancels = outbox.some(({ kind }) => kind === 'Cancel')
  return outbox
    .filter(({ kind }) => !cancels || kind === 'Cancel')
    .filter(({ kind, sequence }) => sequence > (entryOf(status?.delivered, kind)?.sequence ?? -1))
    .map((each) => ({ ...each, requestId: metadata.uid }))
}

/** What of a GuestWork the peer has not got. */
export function pendingOfGuestWork({ spec, status }: Live<GuestWork>): Pending[] {
  return (status?.outbox ?? [])
    .filter(({ kind, sequence }) => sequence > (entryOf(status?.delivered, kind)?.sequence ?? -1))
    .map((each) => ({ ...each, requestId: spec.requestId }))
}

/** The sequence in a message of our own. */
function sequenceOf(envelope: string): number | undefined {
  const read = readEnvelope(envelope)
  const value = read === undefined ? undefined : parseCanonicalJson(read.payload)?.value
  if (typeof value !== 'object' || value === null || !('sequence' in value)) return undefined
  return typeof value.sequence === 'number' ? value.sequence : undefined
}
