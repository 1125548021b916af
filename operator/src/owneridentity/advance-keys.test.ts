import { X509Certificate } from 'node:crypto'
import { array, assert, asyncProperty, integer } from 'fast-check'
import { expect, test } from 'vitest'
import { peerOf, testOwner } from '../../../test/builders/federation.ts'
import { memoryStore, ownerIdentity } from '../../../test/builders/key-store.ts'
import type { OwnerIdentity } from '../api/identity.ts'
import type { Peer } from '../api/peer.ts'
import { acceptBundle } from '../federation/accept-bundle.ts'
import { checkBundle } from '../federation/bundle.ts'
import { judgeCertificate } from '../federation/certificate.ts'
import type { Bundle } from '../federation/messages.ts'
import { openMessage } from '../federation/open-message.ts'
import { createSeal } from '../federation/seal-message.ts'
import { certificateRequest } from '../identity/request.ts'
import { createManualClock } from '../kube/manual-clock.ts'
import { advanceKeys } from './advance-keys.ts'
import type { IdentityKeys } from './identity-keys.ts'
import { ownerCertificates } from './issue-certificate.ts'
import { lifetimes } from './renew-keys.ts'
import { secretRootKeys } from './root-keys.ts'
import { sealingFrom } from './sealing.ts'
import { statusOf } from './status.ts'

const { signal } = new AbortController()
const hour = 3_600_000
const day = 24 * hour

/** An Identity under a clock of its own: what its operator writes, and what others see. */
function setUp(spec: Partial<OwnerIdentity['spec']> = {}) {
  const clock = createManualClock(Date.parse('2026-03-01T00:00:00Z'))
  const store = memoryStore()
  let identity = ownerIdentity({ spec })
  const step = async (annotations: Record<string, string> = {}) => {
    identity = { ...identity, metadata: { ...identity.metadata, annotations } }
    const advanced = await advanceKeys(identity, await store.read(), {
      now: clock.now(),
      rootKeys: secretRootKeys,
      signal,
    })
    identity = {
      ...identity,
      status: statusOf(identity, { keys: advanced.keys, failure: undefined, now: clock.now() }),
    }
    return advanced
  }
  const sealingOf = sealingFrom({ keyStore: store, clock })
  const issue = ownerCertificates({ namespace: 'hansa', readIdentity: async () => identity, keyStore: store, clock })
  const certificate = async () => {
    const { csrPem } = await certificateRequest()
    const requester = { namespace: 'hansa', serviceAccount: 'hansa-link' }
    return issue({ identityName: 'main', requester, csrPem, signal })
  }
  return { clock, store, step, sealingOf, issue, certificate, identity: () => identity }
}

const bundleOf = ({ bundle, root }: IdentityKeys, now: number, firstKey = root.publicKey): Bundle => {
  const verdict = checkBundle(bundle?.envelope ?? '', { pinnedKey: firstKey, now })
  if (!verdict.ok) throw new Error(verdict.problem.message)
  return verdict.bundle
}

test('the first look makes all keys, and the next ones change nothing until something is due', async () => {
  const { step, store, clock } = setUp()
  const { keys, events, dueAt } = await step()
  expect(events.map(({ reason }) => reason)).toEqual(['KeysMade'])
  expect(bundleOf(keys, clock.now()).roleKeys.map(({ role }) => role)).toEqual(['Request', 'Grant', 'Receipt'])
  await clock.advance(dueAt - clock.now() - 1)
  expect((await step()).events).toEqual([])
  expect(store.writes).toBe(1)
  await clock.advance(1)
  await step()
  expect(store.writes).toBe(2)
})

test('over months, looked at whenever it says, peers that hear each bundle can check every message and certificate', {
  timeout: 120_000,
}, async () => {
  const { step, clock, sealingOf, certificate } = setUp({ roleKeySeconds: 3600, certificateSeconds: 600 })
  const other = peerOf(await testOwner('other', { now: clock.now() }))
  const seal = createSeal({ sealingOf, clock })
  const first = (await step()).keys
  let peer: Peer = {
    ...other,
    spec: { ...other.spec, ownerId: 'clinic', rootKey: first.root.publicKey, bundle: first.bundle?.envelope },
    status: {},
  }
  const seen = { roleKeys: new Set<string>(), authorities: new Set<string>(), sequence: 0 }
  for (let n = 0; n < 60; n++) {
    const { keys, dueAt } = await step()
    const { accepted } = acceptBundle(
      { ...peer, status: { ...peer.status, links: [] }, spec: { ...peer.spec, bundle: keys.bundle?.envelope } },
      clock.now(),
    )
    if (accepted === undefined) throw new Error('the bundle was not accepted')
    expect(accepted.bundle.sequence).toBeGreaterThanOrEqual(seen.sequence)
    seen.sequence = accepted.bundle.sequence
    const { envelope, bundle } = accepted
    // What was made just now is checked by the bundle that the peer had heard before this one.
    const before = peer.status?.bundle === undefined ? envelope : peer.status.bundle.envelope
    const conditions = other.status?.conditions ?? []
    peer = { ...peer, status: { bundle: { sequence: 1, notAfter: '', envelope: before }, conditions } }
    const sealed = await seal(
      'Goodbye',
      { sequence: n, state: 'Left' },
      { identityName: 'main', peer: other, seconds: 60, signal },
    )
    const ownBundle = { ...bundle, trustDomain: other.status?.trustDomain ?? '', clusterName: 'main' }
    expect(openMessage('Goodbye', sealed, { peer, ownBundle, now: clock.now() })).toMatchObject({ ok: true })
    const leaf = new X509Certificate((await certificate()).certificate)
    const known = checkBundle(before, { pinnedKey: first.root.publicKey, now: clock.now() })
    expect(known.ok && judgeCertificate(leaf.raw, known.bundle, clock.now())).toEqual({ ok: true, process: 'link' })
    for (const { keyId } of bundle.roleKeys) seen.roleKeys.add(keyId)
    for (const pem of bundle.authorities) seen.authorities.add(pem)
    peer = { ...peer, status: { ...peer.status, bundle: { sequence: 1, notAfter: '', envelope } } }
    await clock.advance(dueAt - clock.now())
  }
  expect(seen.roleKeys.size).toBeGreaterThan(30)
  expect(seen.authorities.size).toBeGreaterThan(4)
})

test('however seldom it is looked at, keys are few, private halves of ended ones are gone, and the bundle has a form that peers take', {
  timeout: 120_000,
}, async () => {
  await assert(
    asyncProperty(array(integer({ min: 1, max: 20 * day }), { maxLength: 30 }), async (naps) => {
      const { step, clock } = setUp()
      let { keys } = await step()
      const firstKey = keys.root.publicKey
      for (const nap of naps) {
        await clock.advance(nap)
        keys = (await step()).keys
        const now = clock.now()
        bundleOf(keys, now, firstKey)
        for (const key of keys.roleKeys) expect(key.keyPem !== undefined).toBe(key.notAfter > now)
        for (const role of ['Request', 'Grant', 'Receipt'] as const) {
          const signs = keys.roleKeys.filter((key) => key.role === role && key.signFrom <= now && key.notAfter > now)
          expect(signs.length).toBeGreaterThan(0)
        }
        expect(keys.authorities.some(({ signFrom, notAfter }) => signFrom <= now && notAfter > now)).toBe(true)
      }
    }),
    { numRuns: 15 },
  )
})

test('certificates end before the authority that made them', () => {
  for (const [roleKeySeconds, certificateSeconds] of [
    [60, 10],
    [60, 604_800],
    [7_776_000, 10],
  ] as const) {
    const { authority } = lifetimes(ownerIdentity({ spec: { roleKeySeconds, certificateSeconds } }).spec)
    // An authority signs until three quarters of its life, or until it is looked at again, at half of the next one's.
    expect(authority / 4).toBeGreaterThanOrEqual(certificateSeconds * 2 * 1000)
  }
})

test('each order is carried out once for each of its values', async () => {
  const { step, clock, certificate } = setUp()
  const first = (await step()).keys
  const firstKey = first.root.publicKey
  const leaf = new X509Certificate((await certificate()).certificate)
  const rotated = await step({ 'hansa.dev/rotate-root': '1' })
  expect(rotated.events.map(({ reason }) => reason)).toEqual(['RootKeyRotated'])
  expect(rotated.keys.root.publicKey).not.toBe(firstKey)
  expect(JSON.stringify(rotated.keys)).not.toContain(first.root.keyPem?.slice(40, 80))
  const orders = { 'hansa.dev/rotate-root': '1', 'hansa.dev/revoke-keys': 'a' }
  const revoked = await step(orders)
  expect(revoked.events.map(({ reason }) => reason)).toEqual(['KeysRevoked'])
  expect(revoked.keys.root).toEqual(rotated.keys.root)
  const bundle = bundleOf(revoked.keys, clock.now(), firstKey)
  for (const { keyId } of first.roleKeys) {
    expect(bundle.revoked).toContain(keyId)
    expect(bundle.roleKeys.map((key) => key.keyId)).not.toContain(keyId)
  }
  expect(judgeCertificate(leaf.raw, bundle, clock.now())).toMatchObject({ ok: false, reason: 'UnknownAuthority' })
  const fresh = new X509Certificate((await certificate()).certificate)
  expect(judgeCertificate(fresh.raw, bundle, clock.now())).toMatchObject({ ok: true })
  const again = await step(orders)
  expect(again.events).toEqual([])
  expect(again.keys).toEqual(revoked.keys)
})

test('the root key is rotated at most eight times, and the ninth order is told so', async () => {
  const { step } = setUp()
  await step()
  const reasons: string[] = []
  for (let n = 0; n < 9; n++) {
    reasons.push(...(await step({ 'hansa.dev/rotate-root': `${n}` })).events.map(({ reason }) => reason))
  }
  expect(reasons).toEqual([...Array(8).fill('RootKeyRotated'), 'RootKeyNotRotated'])
})

test('an identity that was given up says so in every later bundle, and signs no message', async () => {
  const { step, clock, sealingOf, identity } = setUp()
  await step()
  expect(identity().status?.conditions).toMatchObject([{ type: 'Ready', status: 'True', reason: 'Published' }])
  await step({ 'hansa.dev/revoke-identity': 'stolen' })
  expect(identity().status).toMatchObject({
    orders: { revokeIdentity: 'stolen' },
    conditions: [{ type: 'Ready', status: 'False', reason: 'Revoked' }],
  })
  await clock.advance(30 * day)
  const { keys } = await step()
  expect(bundleOf(keys, clock.now())).toMatchObject({ revokedAll: true })
  const { signerOf } = await sealingOf('main', signal)
  expect(() => signerOf('Grant')).toThrow('given up')
})

test('no second root key is made for an Identity that had one, nor the keys of one owner given to another', async () => {
  const { step, store, identity, clock } = setUp()
  await step()
  const deps = { now: clock.now(), rootKeys: secretRootKeys, signal }
  const text = store.text('main')
  const reborn = ownerIdentity()
  const { keys } = await advanceKeys(reborn, await store.read(), deps)
  expect(JSON.stringify(keys)).toBe(text)
  const other = ownerIdentity({ spec: { ownerId: 'university' } })
  await expect(advanceKeys(other, await store.read(), deps)).rejects.toMatchObject({ reason: 'KeysUnreadable' })
  for (const bad of [undefined, 'noise', '{}', text?.replace('"version":1', '"version":2')]) {
    store.put('main', bad)
    await expect(advanceKeys(identity(), await store.read(), deps)).rejects.toMatchObject({ reason: 'KeysUnreadable' })
    expect(store.text('main')).toBe(bad)
  }
})

test('a root key that was copied from another cluster of the owner is completed to the same trust domain', async () => {
  const { step, clock } = setUp()
  await step()
  const { keys } = await step({ 'hansa.dev/rotate-root': '1' })
  const second = memoryStore()
  const { version, root, rotations } = keys
  second.put('main', JSON.stringify({ version, root, rotations }))
  const identity = ownerIdentity({ spec: { clusterName: 'second' } })
  const deps = { now: clock.now(), rootKeys: secretRootKeys, signal }
  const copied = await advanceKeys(identity, await second.read(), deps)
  const bundles = [bundleOf(keys, clock.now()), bundleOf(copied.keys, clock.now())]
  expect(bundles[1]?.trustDomain).toBe(bundles[0]?.trustDomain)
  expect(bundles.map(({ clusterName }) => clusterName)).toEqual(['main', 'second'])
  expect(bundles[1]?.authorities).not.toEqual(bundles[0]?.authorities)
})

test('of two operators that look at once, one writes and the other finds what it wrote', async () => {
  const { store, clock } = setUp()
  const deps = { now: clock.now(), rootKeys: secretRootKeys, signal }
  const [one, two] = await Promise.all([store.read(), store.read()])
  const tried = await Promise.allSettled([
    advanceKeys(ownerIdentity(), one, deps),
    advanceKeys(ownerIdentity(), two, deps),
  ])
  expect(tried.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  expect(store.writes).toBe(1)
})

test.for([
  ['another account', { namespace: 'hansa', serviceAccount: 'hansa-fetch' }, 403],
  ['an account of that name elsewhere', { namespace: 'guests', serviceAccount: 'hansa-link' }, 403],
  ['an account called as what every object has', { namespace: 'hansa', serviceAccount: 'constructor' }, 403],
] as const)('a certificate between owners is refused to %s', async ([, requester, status]) => {
  const { step, issue } = setUp()
  await step()
  const { csrPem } = await certificateRequest()
  await expect(issue({ identityName: 'main', requester, csrPem, signal })).rejects.toMatchObject({ status })
})
