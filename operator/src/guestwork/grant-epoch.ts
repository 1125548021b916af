import type { GuestWork } from '../api/guest-work.ts'
import type { Peer } from '../api/peer.ts'
import { nextEpoch } from '../grant/sequence.ts'
import { peers as peerResource } from '../kube/hansa-resources.ts'
import { type Live, refOf } from '../kube/resource.ts'
import type { GuestWorkDeps } from './deps.ts'
import { fieldManager } from './names.ts'

/**
 * Takes the next epoch for a peer: written into its status, onto the version that was read, before anybody hears of it. Undefined when
 * the numbers of this incarnation are used up.
 */
export async function takeEpoch(
  peer: Live<Peer>,
  guestWorks: readonly GuestWork[],
  deps: Pick<GuestWorkDeps, 'client' | 'peers'>,
  signal: AbortSignal,
): Promise<{ epoch: number; peer: Live<Peer> } | undefined> {
  const granted = guestWorks
    .filter(({ spec }) => spec.peerRef.name === peer.metadata.name)
    .map(({ status }) => status?.lease?.epoch ?? 0)
  const highest = Math.max(peer.status?.epoch ?? 0, ...granted)
  const epoch = nextEpoch({ ...peer.status, epoch: highest })
  if (epoch === undefined) return undefined
  const written = await deps.client.patch(
    peerResource,
    refOf(peer),
    { metadata: { resourceVersion: peer.metadata.resourceVersion }, status: { epoch } },
    { signal, fieldManager, subresource: 'status' },
  )
  deps.peers.wrote(written)
  return { epoch, peer: written }
}
