import { expect, test } from 'vitest'
import { identityOf, peerOf, type TestOwner, testOwner } from '../../../test/builders/federation.ts'
import type { Peer } from '../api/peer.ts'
import { createManualClock } from '../kube/manual-clock.ts'
import { dateTimeOf } from './date-time.ts'
import { readEnvelope, signEnvelope } from './dsse.ts'
import type { Seal } from './federation.ts'
import { messageKinds } from './messages.ts'
import { openMessage } from './open-message.ts'
import { bundleOfIdentity } from './peer-bundle.ts'
import { createSeal } from './seal-message.ts'
import type { Signer } from './signer.ts'

const { signal } = new AbortController()
const clock = createManualClock(Date.parse('2026-03-01T12:00:00Z'))
const now = clock.now()
const [clinic, university, stranger] = await Promise.all(
  ['clinic', 'university', 'stranger'].map((name) => testOwner(name, { now })),
)
if (clinic === undefined || university === undefined || stranger === undefined) throw new Error('three owners')

/** Messages from one owner to the other, and how the other knows it. */
function between(from: TestOwner, to: TestOwner) {
  const sealing = { bundle: from.bundle, signerOf: from.signerOf }
  const seal: Seal = createSeal({ sealingOf: async () => sealing, clock })
  const to_ = { identityName: 'main', peer: peerOf(to), seconds: 60, signal }
  return { seal, to: to_, open: { peer: peerOf(from), ownBundle: to.bundle, now } }
}

const requestId = '0b6ff8a1-0000-4000-8000-000000000001'
const cancel = { sequence: 1, requestId, reason: 'done' }
const { seal, to, open } = between(clinic, university)
const sealed = await seal('Cancel', cancel, to)
const payloadOf = (envelope: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(readEnvelope(envelope)?.payload ?? []).toString())
const base = payloadOf(sealed)
const resigned = (
  change: object,
  signer: Signer = clinic.keys.Request,
  type: string = messageKinds.Cancel.payloadType,
) => signEnvelope(type, { ...base, ...change }, signer, signal)
const { payload, payloadType, signatures } = JSON.parse(sealed)

test('what one owner seals the other opens', () => {
  const opened = openMessage('Cancel', sealed, open)
  expect(opened).toMatchObject({
    ok: true,
    message: {
      ...cancel,
      issuer: { trustDomain: clinic.bundle.trustDomain, clusterName: 'main' },
      audience: { trustDomain: university.bundle.trustDomain, clusterName: 'main' },
      issued: dateTimeOf(now),
      expires: dateTimeOf(now + 60_000),
    },
  })
  expect(opened.ok && opened.payloadSha256).toMatch(/^[0-9a-f]{64}$/)
})

const cluster = (trustDomain: string, clusterName = 'main') => ({ trustDomain, clusterName })
const rewrapped = (change: object) => JSON.stringify({ payload, payloadType, signatures, ...change })

test.for<[string, string, () => Promise<string> | string]>([
  [
    'for another owner',
    'WrongAudience',
    () => between(clinic, stranger).seal('Cancel', cancel, between(clinic, stranger).to),
  ],
  [
    'for another cluster of ours',
    'WrongAudience',
    () => resigned({ audience: cluster(university.bundle.trustDomain, 'second') }),
  ],
  ['that returns to its sender', 'WrongAudience', () => resigned({ audience: cluster(clinic.bundle.trustDomain) })],
  ['in the name of another owner', 'WrongIssuer', () => resigned({ issuer: cluster(stranger.bundle.trustDomain) })],
  [
    'of another cluster of the owner',
    'WrongIssuer',
    () => resigned({ issuer: cluster(clinic.bundle.trustDomain, 'second') }),
  ],
  ['that has expired', 'Expired', () => resigned({ issued: dateTimeOf(now - 9), expires: dateTimeOf(now) })],
  ['that expires before it was issued', 'Malformed', () => resigned({ expires: dateTimeOf(now - 1) })],
  [
    'from the future',
    'NotYetValid',
    () => resigned({ issued: dateTimeOf(now + 300_001), expires: dateTimeOf(now + 400_000) }),
  ],
  ["signed by another owner's key", 'SignatureInvalid', () => resigned({}, stranger.keys.Request)],
  [
    "signed by another owner's key under the id of the right one",
    'SignatureInvalid',
    () => resigned({}, { ...stranger.keys.Request, keyId: clinic.keys.Request.keyId }),
  ],
  ['signed by the key of another role', 'SignatureInvalid', () => resigned({}, clinic.keys.Grant)],
  ['signed by the root key', 'SignatureInvalid', () => resigned({}, clinic.root)],
  ['of another type', 'Malformed', () => resigned({}, clinic.keys.Request, messageKinds.Renewal.payloadType)],
  ['whose type was changed after signing', 'Malformed', () => rewrapped({ payloadType: 'application/json' })],
  ['with two signatures', 'Malformed', () => rewrapped({ signatures: [...signatures, ...signatures] })],
  [
    'whose payload was changed after signing',
    'SignatureInvalid',
    () => rewrapped({ payload: Buffer.from(JSON.stringify({ ...base, reason: 'other' })).toString('base64') }),
  ],
  ['of an unknown version', 'Malformed', () => resigned({ version: 2 })],
  ['without its request', 'Malformed', () => resigned({ requestId: undefined })],
  ['with a negative sequence', 'Malformed', () => resigned({ sequence: -1 })],
  ['that is no envelope', 'Malformed', () => 'hello'],
])('a message %s is refused: %s', async ([, reason, make]) => {
  expect(openMessage('Cancel', await make(), open)).toMatchObject({ ok: false, problem: { reason } })
})

test('a message that was taken in time is opened later too, and its key may have ended since', async () => {
  const late = { ...open, now: now + 400 * 86_400_000 }
  expect(openMessage('Cancel', sealed, late)).toMatchObject({ ok: false, problem: { reason: 'PeerNotReady' } })
  expect(openMessage('Cancel', sealed, { ...late, ignoreExpiry: true }).ok).toBe(true)
  const afterKey = await resigned({
    issued: dateTimeOf(now + 25 * 3_600_000),
    expires: dateTimeOf(now + 26 * 3_600_000),
  })
  const refused = openMessage('Cancel', afterKey, { ...late, ignoreExpiry: true })
  expect(refused).toMatchObject({ ok: false, problem: { reason: 'Expired' } })
})

test('a payload of one kind is never taken for another kind', async () => {
  for (const kind of ['Request', 'Renewal', 'Answer', 'Report', 'Goodbye', 'Bundle', 'Rotation'] as const) {
    expect(openMessage(kind, sealed, open), kind).toMatchObject({ ok: false, problem: { reason: 'Malformed' } })
  }
})

test('keys that were revoked speak no more, also not in what was taken before', async () => {
  const owner = await testOwner('clinic', { now })
  const one = between(owner, university)
  const said = await one.seal('Cancel', cancel, one.to)
  await owner.publish({ revoked: [owner.keys.Request.keyId] })
  const known = { ...one.open, peer: peerOf(owner), ignoreExpiry: true }
  expect(openMessage('Cancel', said, known)).toMatchObject({ ok: false, problem: { reason: 'KeyRevoked' } })
  await owner.publish({ revoked: [], revokedAll: true })
  const gone = { ...known, peer: peerOf(owner) }
  expect(openMessage('Cancel', said, gone)).toMatchObject({ ok: false, problem: { reason: 'KeyRevoked' } })
})

test('a peer that is not verified, or whose bundle somebody put there, is not heard', () => {
  const { peer } = open
  const conditions = peer.status?.conditions?.map((each) => ({ ...each, status: 'False' as const }))
  const forged = { sequence: 9, notAfter: stranger.bundle.notAfter, envelope: stranger.envelope }
  const changed = (status: Partial<NonNullable<Peer['status']>>) => ({ ...peer, status: { ...peer.status, ...status } })
  for (const other of [
    changed({ conditions: conditions ?? [] }),
    changed({ conditions: [] }),
    changed({ bundle: forged }),
    changed({ bundle: undefined }),
    { ...peer, spec: { ...peer.spec, rootKey: undefined } },
    { ...peer, spec: { ...peer.spec, clusterName: 'second' } },
  ]) {
    const opened = openMessage('Cancel', sealed, { ...open, peer: other })
    expect(opened).toMatchObject({ ok: false, problem: { reason: 'PeerNotReady' } })
  }
})

test('what peers would not take is not sealed', async () => {
  await expect(seal('Cancel', { ...cancel, requestId: 'x' }, to)).rejects.toMatchObject({ reason: 'MessageInvalid' })
  const unknown = { ...to, peer: { ...to.peer, status: {} } }
  await expect(seal('Cancel', cancel, unknown)).rejects.toMatchObject({ reason: 'PeerNotReady' })
})

test('an owner reads its own bundle from its Identity', () => {
  expect(bundleOfIdentity(identityOf(clinic), { now })).toMatchObject({ ok: true, bundle: clinic.bundle })
})
