import { createHash } from 'node:crypto'
import type { Join, Peer, PeerSpec } from '../../operator/src/api/peer.ts'
import { apiVersion } from '../../operator/src/api/resource.ts'
import { introduce } from '../../operator/src/peer/introduce.ts'
import { sha256Of, writeJoinFile } from '../../operator/src/peer/join-file.ts'
import { fingerprintOfPeer } from '../../operator/src/peer/transcript-of-peer.ts'
import type { KnownOwner } from './federation.ts'
import { metadata } from './object.ts'

export type TestJoin = {
  invite: string
  acceptance: string
  fingerprint: string
  /** What each side keeps of the other, the fingerprint typed. */
  atInviter: Peer
  atAccepter: Peer
}

/** 32 bytes that follow from a text, base64url. */
export const nonceOf = (text: string) => createHash('sha256').update(text).digest('base64url')

/** A join without anybody in between, as the command line makes it. */
export function joinOf(
  inviter: KnownOwner,
  accepter: KnownOwner,
  { expires = '2027-01-01T00:00:00Z', now = Date.now() }: { expires?: string; now?: number } = {},
): TestJoin {
  const inviterNonce = nonceOf(`${inviter.bundle.trustDomain} invites`)
  const accepterNonce = nonceOf(`${accepter.bundle.trustDomain} accepts`)
  const invite = writeJoinFile({
    kind: 'HansaInvite',
    version: 1,
    nonce: inviterNonce,
    expires,
    bundle: inviter.envelope,
  })
  const inviteSha256 = sha256Of(invite)
  const acceptance = writeJoinFile({
    kind: 'HansaAcceptance',
    version: 1,
    inviteSha256,
    nonce: accepterNonce,
    bundle: accepter.envelope,
  })
  const common = { inviteSha256, acceptanceSha256: sha256Of(acceptance), inviterNonce, accepterNonce, expires }
  const keep = (role: Join['role'], us: KnownOwner, them: KnownOwner): PeerSpec => {
    const { rootKey, ownerId, clusterName } = them.bundle
    const join = { ...common, role, ownRootKey: us.bundle.rootKey }
    const spec = { ownerId, clusterName, rootKey, bundle: them.envelope, join }
    return { identityRef: { name: 'main' }, dial: 'Both', seesOffers: true, suspend: false, ...spec }
  }
  const specs = { inviter: keep('Inviter', inviter, accepter), accepter: keep('Accepter', accepter, inviter) }
  const checked = [introduce(inviter.envelope, now), introduce(accepter.envelope, now)] as const
  if (!checked[0].ok || !checked[1].ok) throw new Error('the owners of a test have bundles that check')
  const fingerprint = fingerprintOfPeer(specs.inviter, checked[0], checked[1].bundle)
  if (fingerprint === undefined) throw new Error('the join of a test is complete')
  const peer = (name: string, spec: PeerSpec): Peer => {
    const { namespace: _none, ...meta } = metadata('Peer', name)
    return { apiVersion, kind: 'Peer', metadata: meta, spec: { ...spec, fingerprint } }
  }
  return {
    invite,
    acceptance,
    fingerprint,
    atInviter: peer(accepter.bundle.ownerId, specs.inviter),
    atAccepter: peer(inviter.bundle.ownerId, specs.accepter),
  }
}
