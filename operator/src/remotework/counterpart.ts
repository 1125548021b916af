import type { OwnerIdentity } from '../api/identity.ts'
import type { Peer } from '../api/peer.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import type { Bundle } from '../federation/messages.ts'
import { bundleOfIdentity } from '../federation/peer-bundle.ts'
import { conditionOf, isTrue } from '../kube/conditions.ts'
import type { Live } from '../kube/resource.ts'
import type { Store } from '../kube/store.ts'

/** Who is asked, and as whom we ask. */
export type Counterpart =
  | { state: 'Ready'; peer: Live<Peer>; identityName: string; ownBundle: Bundle; isConnected: boolean }
  /** Nothing may be signed for it now; leases run out by themselves. */
  | { state: 'Resting'; message: string; peer: Live<Peer> }
  /** There is nobody to talk to: the Peer was deleted, or is another than the one that was asked. */
  | { state: 'Gone'; message: string }

export type Counterparts = {
  peers: Pick<Store<Peer>, 'get'>
  identities: Pick<Store<OwnerIdentity>, 'get'>
}

/** Finds who is asked. `askedDomain` is the trust domain that a request of this work was already addressed to. */
export function counterpartOf(
  work: RemoteWork,
  askedDomain: string | undefined,
  { peers, identities }: Counterparts,
  now: number,
): Counterpart {
  const { name } = work.spec.peerRef
  const peer = peers.get({ name })
  if (peer === undefined || peer.metadata.deletionTimestamp !== undefined) {
    return { state: 'Gone', message: `there is no Peer ${name}` }
  }
  const domain = peer.status?.trustDomain
  if (askedDomain !== undefined && domain !== undefined && domain !== askedDomain) {
    return { state: 'Gone', message: `Peer ${name} is another owner than the one that was asked` }
  }
  const resting = (message: string): Counterpart => ({ state: 'Resting', message, peer })
  if (peer.spec.suspend) return resting(`Peer ${name} is frozen; nothing is asked and no lease is renewed`)
  const verified = conditionOf(peer.status?.conditions, 'Verified')
  if (verified?.status !== 'True')
    return resting(`Peer ${name} is not verified: ${verified?.reason ?? 'not looked at yet'}`)
  const identityName = peer.spec.identityRef.name
  const identity = identities.get({ name: identityName })
  if (identity === undefined) return resting(`there is no Identity ${identityName}`)
  if (identity.spec.suspend)
    return resting(`Identity ${identityName} is frozen; nothing is asked and no lease is renewed`)
  const own = bundleOfIdentity(identity, { now })
  if (!own.ok) return resting(`Identity ${identityName} has no bundle yet: ${own.problem.message}`)
  const isConnected = isTrue(peer.status?.conditions, 'Connected')
  return { state: 'Ready', peer, identityName, ownBundle: own.bundle, isConnected }
}
