import type { OwnerIdentity } from '../api/identity.ts'
import type { Peer } from '../api/peer.ts'
import { isTrue } from '../kube/conditions.ts'
import { judgeCertificate, type OwnerProcess, usableAuthorities } from './certificate.ts'
import { bundleOfPeer } from './peer-bundle.ts'
import type { Pairing } from './peer-tls.ts'

export type NoPairing = {
  reason: 'Suspended' | 'NotVerified' | 'IdentityNotReady' | 'NoCertificate' | 'BundleInvalid'
  message: string
}

export type PairingVerdict = { ok: true; pairing: Pairing } | ({ ok: false } & NoPairing)

/**
 * What a connection of our `process` with that of a peer needs now. The same process on both sides: links talk with links, gateways
 * with gateways. Ask anew when an object or the certificate changes, and now and then for the bundle's time.
 */
export function pairingOf(
  peer: Peer,
  identity: OwnerIdentity | undefined,
  options: {
    process: OwnerProcess
    credentials: { keyPem: string; certPem: string } | undefined
    now: () => number
  },
): PairingVerdict {
  const none = (reason: NoPairing['reason'], message: string): PairingVerdict => ({ ok: false, reason, message })
  const { process, credentials, now } = options
  const { name } = peer.metadata
  if (peer.spec.suspend) return none('Suspended', `Peer ${name} is frozen`)
  if (peer.metadata.deletionTimestamp !== undefined) return none('Suspended', `Peer ${name} is being deleted`)
  if (identity?.status?.trustDomain === undefined) {
    return none('IdentityNotReady', `Identity ${peer.spec.identityRef.name} is missing or has no keys yet`)
  }
  if (identity.spec.suspend) return none('Suspended', `Identity ${identity.metadata.name} is frozen`)
  if (!isTrue(peer.status?.conditions, 'Verified')) return none('NotVerified', `Peer ${name} is not Verified`)
  const checked = bundleOfPeer(peer, { now: now() })
  if (!checked.ok) return none('BundleInvalid', `the bundle of Peer ${name}: ${checked.problem.message}`)
  const { bundle } = checked
  if (bundle.revokedAll) return none('BundleInvalid', `the owner of Peer ${name} gave its identity up`)
  const authorities = usableAuthorities(bundle, now()).map((authority) => authority.toString())
  if (authorities.length === 0) return none('BundleInvalid', `no authority in the bundle of Peer ${name} is valid now`)
  if (credentials === undefined) {
    return none('NoCertificate', `there is no certificate of ours for Identity ${identity.metadata.name} yet`)
  }
  const endsAt = Date.parse(bundle.notAfter)
  return {
    ok: true,
    pairing: {
      peerName: name,
      identityName: identity.metadata.name,
      ownTrustDomain: identity.status.trustDomain,
      peerTrustDomain: bundle.trustDomain,
      ...credentials,
      authorities,
      problemOf: (leafDer) => {
        if (endsAt <= now()) return `the bundle of Peer ${name} ended at ${bundle.notAfter}`
        const verdict = judgeCertificate(leafDer, bundle, now())
        if (!verdict.ok) return `${verdict.reason}: ${verdict.message}`
        return verdict.process === process ? undefined : `WrongName: the certificate is one of a ${verdict.process}`
      },
    },
  }
}
