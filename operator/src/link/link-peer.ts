import type { OwnerIdentity } from '../api/identity.ts'
import type { Peer } from '../api/peer.ts'
import { judgeCertificate, ownerUri, usableAuthorities } from '../federation/certificate.ts'
import type { Bundle } from '../federation/messages.ts'
import { bundleOfIdentity, bundleOfPeer } from '../federation/peer-bundle.ts'
import { conditionOf } from '../kube/conditions.ts'
import type { Live } from '../kube/resource.ts'

/**
 * What the link does with a peer. Open: everything. BundleOnly: its bundle cannot be used any more, so nothing but newer bundles
 * is exchanged. Closing: it is frozen or left; a goodbye is handed over, then its connections are cut.
 */
export type LinkMode = 'Open' | 'BundleOnly' | 'Closing'

/** A peer as the link needs it, checked; made anew whenever its Peer or Identity changes. */
export type LinkPeer = {
  readonly name: string
  readonly mode: LinkMode
  readonly peer: Live<Peer>
  readonly identityName: string
  readonly trustDomain: string
  readonly clusterName: string
  /** The one name that its link's certificate may carry. */
  readonly uri: string
  /** Absent where only bundles are exchanged. */
  readonly bundle: Bundle | undefined
  /** Authorities (PEM) of this peer alone. */
  readonly authorities: readonly string[]
  readonly own: {
    readonly trustDomain: string
    readonly clusterName: string
    readonly bundle: Bundle
    readonly envelope: string
  }
  /** TLS server name of connections that we open, and of those that the peer opens. */
  readonly serverName: { readonly outbound: string; readonly inbound: string }
}

/** The peer as far as the link may deal with it at all; undefined when it may not, or not yet. */
export function linkPeerOf(peer: Live<Peer>, identity: OwnerIdentity | undefined, now: number): LinkPeer | undefined {
  const { spec, status } = peer
  const verified = conditionOf(status?.conditions, 'Verified')
  const stale = verified?.status !== 'True' && verified?.reason === 'BundleInvalid'
  if (identity === undefined || (verified?.status !== 'True' && !stale)) return undefined
  const own = bundleOfIdentity(identity, { now })
  if (!own.ok || own.bundle.revokedAll) return undefined
  const theirs = bundleOfPeer(peer, { now, ignoreExpiry: true })
  if (!theirs.ok || theirs.bundle.revokedAll) return undefined
  const { bundle } = theirs
  const usable = !stale && bundleOfPeer(peer, { now }).ok
  const suspended = spec.suspend || identity.spec.suspend || peer.metadata.deletionTimestamp !== undefined
  const { trustDomain, clusterName } = bundle
  const us = own.bundle.trustDomain
  return {
    name: peer.metadata.name,
    mode: suspended ? 'Closing' : usable ? 'Open' : 'BundleOnly',
    peer,
    identityName: identity.metadata.name,
    trustDomain,
    clusterName,
    uri: ownerUri({ trustDomain, clusterName, process: 'link' }),
    bundle: usable ? bundle : undefined,
    authorities: usable ? usableAuthorities(bundle, now).map((authority) => authority.toString()) : [],
    own: {
      trustDomain: us,
      clusterName: own.bundle.clusterName,
      bundle: own.bundle,
      // bundleOfIdentity has found it.
      envelope: identity.status?.bundle?.envelope ?? '',
    },
    serverName: { outbound: `${us}.${trustDomain}`, inbound: `${trustDomain}.${us}` },
  }
}

/** Why a certificate (DER) is not to be taken as that of the peer's link now; undefined when it is. */
export function problemOfCertificate(leafDer: Uint8Array, peer: LinkPeer, now: number): string | undefined {
  if (peer.bundle === undefined) return 'BundleExpired'
  if (Date.parse(peer.bundle.notAfter) <= now) return 'BundleExpired'
  const verdict = judgeCertificate(leafDer, peer.bundle, now)
  if (!verdict.ok) return `Certificate${verdict.reason}`
  return verdict.process === 'link' ? undefined : 'CertificateWrongName'
}
