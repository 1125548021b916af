import type { PeerSpec } from '../api/peer.ts'
import type { CheckedBundle } from '../federation/bundle.ts'
import type { Bundle } from '../federation/messages.ts'
import { fingerprintOf, type JoinSide } from '../federation/transcript.ts'

/**
 * The fingerprint that the join of a Peer must have; undefined while the join is not complete, or when it was made by another Identity
 * than `own`. `own` is our bundle of now: a root key that followed the one of the join changes nothing. `theirs` is any bundle that was
 * checked against the pinned key.
 */
export function fingerprintOfPeer(
  { join, rootKey, ownerId, clusterName }: PeerSpec,
  own: Pick<CheckedBundle, 'bundle' | 'rootKeys'>,
  theirs: Pick<Bundle, 'trustDomain'>,
): string | undefined {
  if (join === undefined || rootKey === undefined || ownerId === undefined || clusterName === undefined)
    return undefined
  const { role, ownRootKey, inviteSha256, acceptanceSha256, inviterNonce, accepterNonce, expires } = join
  if (inviteSha256 === undefined || acceptanceSha256 === undefined || accepterNonce === undefined) return undefined
  if (ownRootKey === undefined || !own.rootKeys.includes(ownRootKey)) return undefined
  const us = {
    rootKey: ownRootKey,
    trustDomain: own.bundle.trustDomain,
    ownerId: own.bundle.ownerId,
    clusterName: own.bundle.clusterName,
  }
  const them = { rootKey, trustDomain: theirs.trustDomain, ownerId, clusterName }
  const [first, second] = role === 'Inviter' ? [us, them] : [them, us]
  const inviter: JoinSide = { ...first, nonce: inviterNonce }
  const accepter: JoinSide = { ...second, nonce: accepterNonce }
  return fingerprintOf({ inviteSha256, acceptanceSha256, expires, inviter, accepter })
}
