import type { GuestWork, GuestWorkStatus } from '../api/guest-work.ts'
import type { Peer } from '../api/peer.ts'
import { apiVersion, type Condition } from '../api/resource.ts'
import { conditionOf } from '../kube/conditions.ts'
import { guestWorks } from '../kube/hansa-resources.ts'
import { type Live, refOf } from '../kube/resource.ts'
import type { GuestWorkDeps } from './deps.ts'
import { type Letter, post } from './outbox.ts'

/** The fields of the status that the operator owns; the link owns `inbox` and `delivered`. */
export type OwnStatus = Omit<GuestWorkStatus, 'inbox' | 'delivered'>

/** Signs the letters and writes the status with them, onto the very version that was looked at. */
export async function writeStatus(
  guest: Live<GuestWork>,
  peer: Peer | undefined,
  status: OwnStatus,
  letters: readonly Letter[],
  deps: GuestWorkDeps,
  signal: AbortSignal,
): Promise<Live<GuestWork>> {
  const before = guest.status?.outbox ?? []
  const outbox =
    peer === undefined || letters.length === 0
      ? before
      : await post(before, letters, peer.status ?? {}, (letter, sequence) =>
          sealed(letter, sequence, peer, deps, signal),
        )
  const desired = {
    apiVersion,
    kind: 'GuestWork',
    metadata: { ...refOf(guest), resourceVersion: guest.metadata.resourceVersion },
    status: { ...status, ...(outbox.length > 0 && { outbox }) },
  }
  const written = await deps.applier.applyStatus(guestWorks, desired, guest, { signal })
  if (written === guest) return guest
  deps.guestWorks.wrote(written)
  if (letters.some(({ kind }) => kind === 'Answer'))
    deps.memory.answered.set(guest.metadata.uid, deps.clock.monotonic())
  count(guest, written, deps)
  announce(guest, written, deps)
  return written
}

function sealed(
  letter: Letter,
  sequence: number,
  peer: Peer,
  deps: GuestWorkDeps,
  signal: AbortSignal,
): Promise<string> {
  const to = { identityName: peer.spec.identityRef.name, peer, seconds: letter.seconds, signal }
  switch (letter.kind) {
    case 'Answer':
      return deps.seal(letter.kind, { ...letter.body, sequence }, to)
    case 'RenewalAsk':
      return deps.seal(letter.kind, { ...letter.body, sequence }, to)
    case 'Report':
      return deps.seal(letter.kind, { ...letter.body, sequence }, to)
    default:
      return letter satisfies never
  }
}

function count(before: GuestWork, after: GuestWork, { gpuSeconds }: GuestWorkDeps): void {
  const counted = (after.status?.gpuSeconds ?? 0) - (before.status?.gpuSeconds ?? 0)
  if (counted > 0) gpuSeconds.inc({ peer: before.spec.peerRef.name }, counted)
}

const expected: ReadonlySet<string> = new Set(['Granted', 'Cancelled', 'WindowClosed', 'AwaitingConfirmation'])

/** An event for each change of Granted, in the condition's own words. */
function announce(before: GuestWork, after: Live<GuestWork>, { events }: GuestWorkDeps): void {
  const said = (work: GuestWork): Condition | undefined =>
    conditionOf(work.status?.conditions, 'Granted') ?? conditionOf(work.status?.conditions, 'Authentic')
  const now = said(after)
  if (now === undefined || now.reason === said(before)?.reason || now.reason === 'Authentic') return
  const type = expected.has(now.reason) ? 'Normal' : 'Warning'
  events.record(after, { type, reason: now.reason, action: 'Decide', note: now.message })
}
