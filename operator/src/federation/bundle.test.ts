import { assert, asyncProperty, constantFrom, integer } from 'fast-check'
import { expect, test } from 'vitest'
import { testOwner } from '../../../test/builders/federation.ts'
import { generateKeys, signatureAlgorithm } from '../identity/keys.ts'
import {
  BasicConstraintsExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '../identity/x509.ts'
import { checkBundle, signBundle } from './bundle.ts'
import { dateTimeOf } from './date-time.ts'
import { preAuthEncoding, readEnvelope, signEnvelope } from './dsse.ts'
import { type Bundle, messageKinds } from './messages.ts'
import { signRotation } from './rotation.ts'

const { signal } = new AbortController()
const now = Date.parse('2026-03-01T12:00:00Z')
const owner = await testOwner('clinic', { now })
const stranger = await testOwner('stranger', { now })
const expected = { pinnedKey: owner.root.publicKey, clusterName: 'main', now }
const sealed = (bundle: unknown, root = owner.root) =>
  signEnvelope(messageKinds.Bundle.payloadType, bundle, root, signal)
const [requestKey, grantKey] = owner.bundle.roleKeys
if (requestKey === undefined || grantKey === undefined) throw new Error('an owner has two role keys')

test('what an owner signs is taken by those who pinned its key', () => {
  const verdict = checkBundle(owner.envelope, expected)
  expect(verdict).toMatchObject({ ok: true, bundle: owner.bundle, rootKeys: [owner.root.publicKey] })
})

const wideAuthority = await X509CertificateGenerator.createSelfSigned({
  keys: await generateKeys(),
  signingAlgorithm: signatureAlgorithm,
  extensions: [
    new BasicConstraintsExtension(true, 1, true),
    new SubjectAlternativeNameExtension([{ type: 'url', value: `spiffe://${owner.bundle.trustDomain}` }]),
  ],
})

test.for<[string, string, () => Promise<string>]>([
  ['signed by another key', 'SignatureInvalid', () => sealed(owner.bundle, stranger.root)],
  ['of a stranger', 'WrongKey', async () => stranger.envelope],
  [
    'of a stranger in the name of the trust domain',
    'WrongKey',
    () => stranger.publish({ trustDomain: owner.bundle.trustDomain }),
  ],
  ['of another cluster of the owner', 'WrongCluster', () => sealed({ ...owner.bundle, clusterName: 'second' })],
  [
    'that has ended',
    'Expired',
    () => sealed({ ...owner.bundle, issued: dateTimeOf(now - 9), notAfter: dateTimeOf(now) }),
  ],
  ['that ends before it begins', 'Malformed', () => sealed({ ...owner.bundle, notAfter: dateTimeOf(now - 1) })],
  ['from the future', 'NotYetValid', () => sealed({ ...owner.bundle, issued: dateTimeOf(now + 300_001) })],
  ['with a time that is none', 'Malformed', () => sealed({ ...owner.bundle, notAfter: 'tomorrow' })],
  ['of an unknown version', 'Malformed', () => sealed({ ...owner.bundle, version: 2 })],
  ['with a role key twice', 'KeysInvalid', () => sealed({ ...owner.bundle, roleKeys: [requestKey, requestKey] })],
  [
    'with the id of another key',
    'KeysInvalid',
    () => sealed({ ...owner.bundle, roleKeys: [{ ...requestKey, keyId: grantKey.keyId }] }),
  ],
  [
    'whose root key has a role',
    'KeysInvalid',
    () => {
      const { publicKey, keyId } = owner.root
      return sealed({ ...owner.bundle, roleKeys: [{ ...requestKey, publicKey, keyId }] })
    },
  ],
  [
    'with the authority of a stranger',
    'AuthorityInvalid',
    () => sealed({ ...owner.bundle, authorities: stranger.bundle.authorities }),
  ],
  [
    'with two authorities in one entry',
    'AuthorityInvalid',
    () => sealed({ ...owner.bundle, authorities: [owner.authority.caPem.repeat(2)] }),
  ],
  [
    'with the certificate of a link as authority',
    'AuthorityInvalid',
    async () => sealed({ ...owner.bundle, authorities: [(await owner.certificate('link')).certPem] }),
  ],
  [
    'with an authority that may make more of them',
    'AuthorityInvalid',
    () => sealed({ ...owner.bundle, authorities: [wideAuthority.toString('pem')] }),
  ],
  ['without an authority', 'Malformed', () => sealed({ ...owner.bundle, authorities: [] })],
  ['that revokes no hex', 'Malformed', () => sealed({ ...owner.bundle, revoked: ['ABC'] })],
  [
    'under another type',
    'Malformed',
    () => signEnvelope(messageKinds.Rotation.payloadType, owner.bundle, owner.root, signal),
  ],
  ['of another shape', 'Malformed', () => sealed({ hello: 'world' })],
])('a bundle %s is refused: %s', async ([, reason, make]) => {
  expect(checkBundle(await make(), expected)).toMatchObject({ ok: false, problem: { reason } })
})

test('a bundle whose members stand in another order is refused, though its signature is right', async () => {
  const { payloadType } = messageKinds.Bundle
  const payload = Buffer.from(JSON.stringify(Object.fromEntries(Object.entries(owner.bundle).reverse())))
  const sig = Buffer.from(await owner.root.sign(preAuthEncoding(payloadType, payload), signal)).toString('base64')
  const signatures = [{ keyid: owner.root.keyId, sig }]
  const envelope = JSON.stringify({ payload: payload.toString('base64'), payloadType, signatures })
  expect(readEnvelope(envelope)).toBeDefined()
  expect(checkBundle(envelope, expected)).toMatchObject({ ok: false, problem: { reason: 'Malformed' } })
})

test('a sequence never goes back', () => {
  expect(checkBundle(owner.envelope, { ...expected, atLeastSequence: 1 }).ok).toBe(true)
  const back = checkBundle(owner.envelope, { ...expected, atLeastSequence: 2 })
  expect(back).toMatchObject({ ok: false, problem: { reason: 'Rollback' } })
})

test('that the owner gave itself up is taken late and out of order', async () => {
  const envelope = await sealed({ ...owner.bundle, revokedAll: true })
  const verdict = checkBundle(envelope, { ...expected, now: now + 365 * 86_400_000, atLeastSequence: 9 })
  expect(verdict).toMatchObject({ ok: true, bundle: { revokedAll: true } })
})

test('only forms that peers take are signed', async () => {
  await expect(signBundle({ ...owner.bundle, authorities: [] }, owner.root, signal)).rejects.toThrow('no valid form')
  await expect(signBundle(owner.bundle, stranger.root, signal)).rejects.toThrow('another root key')
})

test('a new root key is taken when each one before signed the next, from whichever of them was pinned', {
  timeout: 60_000,
}, async () => {
  await assert(
    asyncProperty(integer({ min: 1, max: 8 }), integer({ min: 0, max: 8 }), async (rotations, pin) => {
      const keys = [stranger.root.publicKey]
      const rotated = await testOwner('rotated', { now })
      keys[0] = rotated.root.publicKey
      for (let n = 0; n < rotations; n++) {
        await rotated.rotateRoot()
        keys.push(rotated.root.publicKey)
      }
      const pinnedKey = keys[pin % keys.length] ?? ''
      expect(checkBundle(rotated.envelope, { ...expected, pinnedKey })).toMatchObject({ ok: true, rootKeys: keys })
      const knownKey = keys.at(-1)
      expect(checkBundle(rotated.envelope, { ...expected, pinnedKey, knownKey }).ok).toBe(true)
    }),
    { numRuns: 12 },
  )
})

test('a chain that lacks, repeats, reorders or forges a step is refused', async () => {
  const rotated = await testOwner('rotated', { now })
  const first = rotated.root
  await rotated.rotateRoot()
  const second = rotated.root
  await rotated.rotateRoot()
  const [one = '', two = ''] = rotated.bundle.rotations
  const { trustDomain } = rotated.bundle
  const forged = await signRotation({ trustDomain, newKey: rotated.root.publicKey, now }, stranger.root, signal)
  const sideways = await signRotation({ trustDomain, newKey: rotated.root.publicKey, now }, first, signal)
  const elsewhere = await signRotation(
    { trustDomain: owner.bundle.trustDomain, newKey: second.publicKey, now },
    first,
    signal,
  )
  await assert(
    asyncProperty(
      constantFrom([two], [one], [two, one], [one, one, two], [one, forged], [elsewhere, two], [forged]),
      async (rotations) => {
        const envelope = await sealed({ ...rotated.bundle, rotations }, rotated.root)
        expect(checkBundle(envelope, { ...expected, pinnedKey: first.publicKey })).toMatchObject({ ok: false })
      },
    ),
  )
  // The old key, stolen after it was replaced, may name another heir: who knows the second key does not follow.
  const fork: Bundle = { ...rotated.bundle, rotations: [sideways] }
  const envelope = await sealed(fork, rotated.root)
  expect(checkBundle(envelope, { ...expected, pinnedKey: first.publicKey }).ok).toBe(true)
  expect(checkBundle(envelope, { ...expected, pinnedKey: first.publicKey, knownKey: second.publicKey })).toMatchObject({
    ok: false,
    problem: { reason: 'WrongKey' },
  })
})
