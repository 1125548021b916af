import type { GuestWork } from '@hansa/operator/api/guest-work.ts'
import type { InferenceService } from '@hansa/operator/api/inference-service.ts'
import type { Peer } from '@hansa/operator/api/peer.ts'
import type { RemoteWork } from '@hansa/operator/api/remote-work.ts'
import type { PeerLimits } from '@hansa/operator/gateway/data/limits.ts'
import { peerOf, type TestOwner } from '../../builders/federation.ts'
import { lentWork, requestIdOf } from '../../builders/lent-work.ts'
import { type MemoryReceiptBook, memoryReceiptBook } from '../../builders/memory-receipt-book.ts'
import { eventually, inferenceService, type Rig, type RigOptions, startRig } from '../gateway/gateway-under-test.ts'

/** An owner: a gateway with its data path over real TLS, real workers, and a scripted API server. */
export type OwnerRig = Rig & { owner: TestOwner; data: NonNullable<Rig['data']>; book: MemoryReceiptBook; name: string }

export type OwnerRigOptions = Omit<RigOptions, 'owner' | 'book'> & {
  limits?: Partial<PeerLimits>
  /** Without one nothing is proven. */
  hasBook?: boolean
}

/** Starts an owner; the caller stops it. */
export async function openOwnerRig(name: string, options: OwnerRigOptions = {}): Promise<OwnerRig> {
  const { limits = {}, hasBook = true, ...rest } = options
  const book = memoryReceiptBook()
  const rig = await startRig({ services: [], ...rest, owner: { name, limits }, ...(hasBook && { book }) })
  const { owner, data } = rig
  if (owner === undefined || data === undefined) throw new Error('the rig is no owner')
  return Object.assign(rig, { owner, data, book, name })
}

/** Makes both Peers of each other; `dialler` reaches the other at `address`, by default its own. */
export function join(one: OwnerRig, other: OwnerRig, dialler: OwnerRig = one, address?: string): void {
  for (const [here, there] of [
    [one, other],
    [other, one],
  ] as const) {
    const peer = peerOf(there.owner, there.name)
    const spec: Partial<Peer['spec']> =
      here === dialler ? { dial: 'Us', dataAddress: address ?? there.data.address } : { dial: 'Them' }
    here.cluster.peers = [...here.cluster.peers, { ...peer, spec: { ...peer.spec, ...spec } }]
    here.cluster.changed()
  }
}

export { requestIdOf }

export type Lent = {
  requestId: string
  remote: RemoteWork
  guest: GuestWork
  /** Namespace and name of the guest's InferenceService. */
  local: { namespace: string; service: string }
  /** Puts what was changed in them before both gateways. */
  changed(): void
}

const service = 'digits'

/** What `from` asked of `to` for its service `apps/digits`, granted, with `to`'s objects for it; workers are the test's to add. */
export function lend(from: OwnerRig, to: OwnerRig, options: Parameters<typeof lentWork>[2] = {}): Lent {
  const { requestId, remote, guest, guestService } = lentWork(from, to, options)
  const { name } = guestService.metadata
  from.cluster.remoteWorks = [...from.cluster.remoteWorks, remote]
  to.cluster.guestWorks = [...to.cluster.guestWorks, guest]
  to.cluster.services = [...to.cluster.services, guestService]
  from.cluster.changed()
  to.cluster.changed()
  return {
    requestId,
    remote,
    guest,
    local: { namespace: 'guests', service: name },
    changed: () => {
      from.cluster.changed()
      to.cluster.changed()
    },
  }
}

/** The service of users, by default without workers here. */
export function usersService(spec: Record<string, unknown> = {}): InferenceService {
  return inferenceService(service, 'apps', spec)
}

/** Waits until `rig` can call that many owners. */
export async function connected(rig: OwnerRig, peer: string): Promise<void> {
  await eventually(() => {
    if (rig.data.callerOf(peer) === undefined) throw new Error(`${rig.name} has no connection to call ${peer} on`)
  }, 20)
}
