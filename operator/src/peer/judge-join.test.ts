import { expect, test } from 'vitest'
import { identityOf, testOwner } from '../../../test/builders/federation.ts'
import { joinOf } from '../../../test/builders/join.ts'
import type { OwnerIdentity } from '../api/identity.ts'
import type { Peer, PeerSpec } from '../api/peer.ts'
import { acceptBundle } from '../federation/accept-bundle.ts'
import { bundleOfIdentity } from '../federation/peer-bundle.ts'
import { introduceOnceMore } from './introduce.ts'
import { judgeJoin } from './judge-join.ts'

const now = Date.parse('2026-03-01T12:00:00Z')
const clinic = await testOwner('clinic', { now })
const university = await testOwner('university', { now })
const { atInviter, atAccepter } = joinOf(clinic, university, { now })

function judge(peer: Peer, identity: OwnerIdentity | undefined, at = now) {
  const own = bundleOfIdentity(identity ?? identityOf(clinic), { now: at })
  const acceptance = acceptBundle(peer, at)
  return judgeJoin({ peer, identity, own, theirs: introduceOnceMore(peer.spec), acceptance, now: at }).reason
}
const withSpec = (change: Partial<PeerSpec>, without: readonly (keyof PeerSpec)[] = []): Peer => {
  const spec = { ...atInviter.spec, ...change }
  for (const name of without) delete spec[name]
  return { ...atInviter, spec }
}

test('both sides of an honest join are verified by one fingerprint', () => {
  expect(judge(atInviter, identityOf(clinic))).toBe('FingerprintMatches')
  expect(judge(atAccepter, identityOf(university))).toBe('FingerprintMatches')
})

test('a Peer of one identity is nobody under another, so federations stay apart', async () => {
  const otherFederation = await testOwner('clinic', { now })
  expect(judge(atInviter, identityOf(otherFederation))).toBe('NotJoined')
})

test('our own new root key does not unverify a Peer, nor does a new one of the peer', async () => {
  const us = await testOwner('clinic', { now })
  const them = await testOwner('university', { now })
  const peer = joinOf(us, them, { now }).atInviter
  await us.rotateRoot()
  expect(judge(peer, identityOf(us))).toBe('FingerprintMatches')
  await them.rotateRoot()
  const link = { replica: 'link-0', connected: true, direction: 'Inbound', bundle: them.envelope } as const
  expect(judge({ ...peer, status: { links: [link] } }, identityOf(us))).toBe('FingerprintMatches')
})

test('a join after a rotation binds the key of then', async () => {
  const us = await testOwner('clinic', { now })
  await us.rotateRoot()
  const them = await testOwner('university', { now })
  await them.rotateRoot()
  const { atInviter: ours, atAccepter: theirs } = joinOf(us, them, { now })
  expect(judge(ours, identityOf(us))).toBe('FingerprintMatches')
  expect(judge(theirs, identityOf(them))).toBe('FingerprintMatches')
})

const { join = { role: 'Inviter', inviterNonce: '', expires: '' } } = atInviter.spec
test.for<[string, string, Peer]>([
  ['without fingerprint', 'Unverified', withSpec({}, ['fingerprint'])],
  ['with a wrong digit', 'FingerprintMismatch', withSpec({ fingerprint: '0000-0000-0000-0000-0000-0000-0000-0000' })],
  ['with another nonce', 'FingerprintMismatch', withSpec({ join: { ...join, accepterNonce: 'A'.repeat(43) } })],
  ['with another invite', 'FingerprintMismatch', withSpec({ join: { ...join, inviteSha256: '0'.repeat(64) } })],
  ['with another end', 'FingerprintMismatch', withSpec({ join: { ...join, expires: '2028-01-01T00:00:00Z' } })],
  ['with the roles swapped', 'FingerprintMismatch', withSpec({ join: { ...join, role: 'Accepter' } })],
  ['that calls the owner otherwise', 'NotJoined', withSpec({ ownerId: 'hospital' })],
  ['of another cluster', 'BundleInvalid', withSpec({ clusterName: 'second' })],
  ['made by hand', 'NotJoined', withSpec({}, ['join'])],
  ['without a bundle', 'BundleInvalid', withSpec({}, ['bundle'])],
  ['with our own key', 'OwnKey', withSpec({ rootKey: clinic.bundle.rootKey, bundle: clinic.envelope })],
  ['only invited', 'Invited', withSpec({}, ['rootKey'])],
  ['without anything', 'NotJoined', withSpec({}, ['rootKey', 'join'])],
])('a Peer %s is not verified: %s', ([, reason, peer]) => {
  expect(judge(peer, identityOf(clinic))).toBe(reason)
})

test('what is not there yet is said', () => {
  const { status: _none, ...young } = identityOf(clinic)
  expect(judge(atInviter, undefined)).toBe('IdentityNotFound')
  const own = bundleOfIdentity(young, { now })
  const acceptance = acceptBundle(atInviter, now)
  const theirs = introduceOnceMore(atInviter.spec)
  expect(judgeJoin({ peer: atInviter, identity: young, own, theirs, acceptance, now }).reason).toBe('IdentityNotReady')
})

test('time ends an invite, and a bundle that nobody renews', () => {
  const late = Date.parse('2027-01-02T00:00:00Z')
  expect(judge(withSpec({}, ['rootKey']), identityOf(clinic), late)).toBe('InviteExpired')
  expect(judge(atInviter, identityOf(clinic), now + 25 * 3_600_000)).toBe('BundleInvalid')
})

test('an identity that was given up is never verified again', async () => {
  const them = await testOwner('university', { now })
  const peer = joinOf(clinic, them, { now }).atInviter
  const gone = await them.publish({ revokedAll: true })
  const link = (bundle: string) => ({ replica: 'link-0', connected: true, direction: 'Inbound', bundle }) as const
  expect(judge({ ...peer, status: { links: [link(gone)] } }, identityOf(clinic))).toBe('Revoked')
  const { sequence, notAfter } = them.bundle
  const later = await them.publish({ revokedAll: false })
  const status = { bundle: { sequence, notAfter, envelope: gone }, links: [link(later)] }
  expect(judge({ ...peer, status }, identityOf(clinic))).toBe('Revoked')
})
