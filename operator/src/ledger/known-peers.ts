import type { OwnerIdentity } from '../api/identity.ts'
import type { Peer } from '../api/peer.ts'
import { bundleOfIdentity } from '../federation/peer-bundle.ts'
import type { Clock } from '../kube/clock.ts'
import { conditionOf } from '../kube/conditions.ts'
import type { Store } from '../kube/store.ts'
import type { KnownPeer, KnownPeers } from './deps.ts'

/** The Peers that a ledger deals with: Verified and not frozen, ours by an Identity that has a bundle. Looked up at each question. */
export function knownPeers(deps: { peers: Store<Peer>; identities: Store<OwnerIdentity>; clock: Clock }): KnownPeers {
  const { peers, identities, clock } = deps

  function known(peer: Peer | undefined): KnownPeer | undefined {
    if (peer === undefined || peer.spec.suspend || peer.metadata.deletionTimestamp !== undefined) return undefined
    if (conditionOf(peer.status?.conditions, 'Verified')?.status !== 'True') return undefined
    const identity = identities.get({ name: peer.spec.identityRef.name })
    const verdict = identity === undefined ? undefined : bundleOfIdentity(identity, { now: clock.now() })
    if (identity === undefined || verdict?.ok !== true) return undefined
    return { name: peer.metadata.name, peer, identity: identity.metadata.name, ownBundle: verdict.bundle }
  }

  return {
    get: (name) => known(peers.get({ name })),
    list: () => peers.list().flatMap((peer) => known(peer) ?? []),
    identities: () => identities.list(),
  }
}
