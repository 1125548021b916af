import type { OwnerIdentity } from '../api/identity.ts'
import type { Peer } from '../api/peer.ts'
import type { peerReasons } from '../api/peer-reasons.ts'
import type { Acceptance } from '../federation/accept-bundle.ts'
import type { BundleVerdict, CheckedBundle } from '../federation/bundle.ts'
import { fingerprintOfPeer } from './transcript-of-peer.ts'

export type VerifiedVerdict = { reason: keyof typeof peerReasons.Verified; message: string }

/**
 * Whether the key of a Peer is proved to be that of whom its admin spoke to, and still good. Pure; `own` is our bundle, `theirs` the one
 * of the join, `acceptance` the newest.
 */
export function judgeJoin(input: {
  peer: Peer
  identity: OwnerIdentity | undefined
  own: BundleVerdict
  theirs: BundleVerdict
  acceptance: Acceptance
  now: number
}): VerifiedVerdict {
  const { peer, identity, own, acceptance, now } = input
  const { spec } = peer
  if (identity === undefined) {
    return { reason: 'IdentityNotFound', message: `there is no Identity ${spec.identityRef.name}` }
  }
  if (!own.ok) {
    return { reason: 'IdentityNotReady', message: `Identity ${spec.identityRef.name}: ${own.problem.message}` }
  }
  if (spec.rootKey === undefined) return judgeInvite(spec.join?.expires, now)
  const doubt = doubtOfKey(input, own)
  if (doubt !== undefined) return doubt
  const { accepted, refused } = acceptance
  if (accepted === undefined) {
    const why = refused.map(({ from, problem }) => `${from}: ${problem.message}`).join('; ')
    return { reason: 'BundleInvalid', message: why.slice(0, 1024) }
  }
  const { revokedAll, notAfter } = accepted.bundle
  if (revokedAll) return { reason: 'Revoked', message: 'the peer published that it gave its identity up' }
  if (Date.parse(notAfter) <= now) return { reason: 'BundleInvalid', message: `its bundle expired at ${notAfter}` }
  return { reason: 'FingerprintMatches', message: '' }
}

function judgeInvite(expires: string | undefined, now: number): VerifiedVerdict {
  if (expires === undefined) return { reason: 'NotJoined', message: 'it has neither a key nor an invite' }
  if (Date.parse(expires) > now) return { reason: 'Invited', message: `the invite can be accepted until ${expires}` }
  return { reason: 'InviteExpired', message: `the invite expired at ${expires}` }
}

function doubtOfKey(
  { peer: { spec, status }, theirs, acceptance }: { peer: Peer; theirs: BundleVerdict; acceptance: Acceptance },
  own: CheckedBundle,
): VerifiedVerdict | undefined {
  // What was checked once stays known: a join's own bundle may be taken out of the spec later.
  const trustDomain = theirs.ok ? theirs.bundle.trustDomain : acceptance.accepted?.bundle.trustDomain
  if (trustDomain === own.bundle.trustDomain || (spec.rootKey !== undefined && own.rootKeys.includes(spec.rootKey))) {
    return { reason: 'OwnKey', message: 'the pinned key is our own' }
  }
  if (spec.ownerId === undefined || spec.clusterName === undefined || spec.join === undefined) {
    return { reason: 'NotJoined', message: 'ownerId, clusterName or join is missing' }
  }
  if (trustDomain === undefined) {
    const why = theirs.ok ? '' : theirs.problem.message
    return { reason: 'BundleInvalid', message: `the bundle of the join cannot be taken: ${why}` }
  }
  const name = acceptance.accepted?.bundle.ownerId ?? (theirs.ok ? theirs.bundle.ownerId : undefined)
  if (name !== spec.ownerId)
    return { reason: 'NotJoined', message: `its bundle is of owner ${name}, not ${spec.ownerId}` }
  const expected = fingerprintOfPeer(spec, own, { trustDomain })
  if (expected === undefined) {
    return { reason: 'NotJoined', message: `spec.join is not complete, or not of Identity ${spec.identityRef.name}` }
  }
  if (spec.fingerprint === undefined) {
    const known = status?.conditions?.some(({ type, status: value }) => type === 'Verified' && value === 'True')
    return {
      reason: 'Unverified',
      message: known === true ? 'the fingerprint was taken away' : 'no fingerprint was typed',
    }
  }
  // The expected one is not said: it is to be heard, not copied.
  if (spec.fingerprint !== expected)
    return { reason: 'FingerprintMismatch', message: 'the fingerprint is not that of the join' }
  return undefined
}
