import type { OwnerIdentity } from '../api/identity.ts'
import type { Peer } from '../api/peer.ts'
import { type BundleVerdict, checkBundle } from './bundle.ts'
import { judgeCertificate } from './certificate.ts'

type At = { now: number; ignoreExpiry?: boolean }

/**
 * The bundle in use of a peer, checked against the pinned key again: who may write the status of a Peer cannot by that speak in
 * the peer's name.
 */
export function bundleOfPeer({ spec, status }: Peer, { now, ignoreExpiry = false }: At): BundleVerdict {
  if (spec.rootKey === undefined) return missing('no root key is pinned yet')
  if (status?.bundle === undefined) return missing('no bundle is known yet')
  return checkBundle(status.bundle.envelope, {
    pinnedKey: spec.rootKey,
    knownKey: status.rootKey,
    clusterName: spec.clusterName,
    now,
    ignoreExpiry,
  })
}

/** The bundle that peers get of us, as our operator published it. */
export function bundleOfIdentity({ spec, status }: OwnerIdentity, { now, ignoreExpiry = true }: At): BundleVerdict {
  if (status?.bundle === undefined || status.rootKey === undefined) return missing('no bundle was published yet')
  return checkBundle(status.bundle.envelope, {
    pinnedKey: status.rootKey,
    clusterName: spec.clusterName,
    now,
    ignoreExpiry,
  })
}

/**
 * Whether a certificate (DER) is to be taken as the peer's now: by an authority of its bundle, for its one name, valid, not
 * revoked, the bundle unexpired. Links ask it again for connections that live; suspension and verification are asked elsewhere.
 */
export function isCertificateAcceptable(leafDer: Uint8Array, peer: Peer, now: number): boolean {
  const verdict = bundleOfPeer(peer, { now })
  return verdict.ok && judgeCertificate(leafDer, verdict.bundle, now).ok
}

function missing(message: string): BundleVerdict {
  return { ok: false, problem: { reason: 'Malformed', message } }
}
