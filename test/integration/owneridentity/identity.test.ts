import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OwnerIdentity } from '@hansa/operator/api/identity.ts'
import { checkBundle } from '@hansa/operator/federation/bundle.ts'
import { judgeCertificate } from '@hansa/operator/federation/certificate.ts'
import { type OwnerCredentials, startOwnerCredentials } from '@hansa/operator/federation/owner-credentials.ts'
import { bundleOfIdentity } from '@hansa/operator/federation/peer-bundle.ts'
import { certificateRequest } from '@hansa/operator/identity/request.ts'
import { requestOwnerCertificate } from '@hansa/operator/identity/request-certificate.ts'
import { secrets } from '@hansa/operator/kube/builtin.ts'
import { conditionOf } from '@hansa/operator/kube/conditions.ts'
import { identities } from '@hansa/operator/kube/hansa-resources.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Owner, startOwner } from '../../cluster/owner.ts'
import { releaseNamespace as namespace } from '../chart/render.ts'
import { eventually, testLog as log } from '../kube/harness.ts'
import {
  installRights,
  movableClock,
  output,
  serviceAccountToken,
  startEndpoint,
  startOperatorPart,
} from './operator-under-test.ts'

const { signal } = new AbortController()
const clock = movableClock()
const stops: (() => Promise<unknown>)[] = []
let owner: Owner
let first: Awaited<ReturnType<typeof startOperatorPart>>
let second: typeof first
let folder = ''
const generous = 120_000

beforeAll(async () => {
  owner = await startOwner({ name: 'owner-identity' })
  stops.push(owner.stop)
  await installRights(owner)
  folder = await mkdtemp(join(tmpdir(), 'hansa-owner-identity-'))
  stops.push(() => rm(folder, { recursive: true, force: true }))
  // Two at once, as when one operator does not know yet that the other leads.
  ;[first, second] = await Promise.all([
    startOperatorPart(owner, clock, 'operator-1'),
    startOperatorPart(owner, clock, 'operator-2'),
  ])
  stops.push(first.stop, second.stop)
}, generous)

afterAll(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function apply(name: string, spec: object = {}, annotations: object = {}): Promise<void> {
  const object = {
    apiVersion: 'hansa.dev/v1alpha1',
    kind: 'Identity',
    metadata: { name, annotations },
    spec: { ownerId: 'clinic', ...spec },
  }
  await output(owner, ['apply', '--server-side', '--force-conflicts', '-f', '-'], JSON.stringify(object))
}

const read = (name: string) => first.client.get(identities, { name }, { signal })

function becomes(name: string, what: string, check: (identity: OwnerIdentity) => boolean): Promise<OwnerIdentity> {
  return eventually(
    `Identity ${name} ${what}`,
    async () => {
      const identity = await read(name)
      return identity !== undefined && check(identity) ? identity : undefined
    },
    60_000,
  )
}

const reasonIs = (reason: string) => (identity: OwnerIdentity) =>
  conditionOf(identity.status?.conditions, 'Ready')?.reason === reason

const published = async (name: string) => {
  await apply(name)
  return becomes(name, 'is published', reasonIs('Published'))
}

test('two operators at once make one root key for each Identity, and publish a bundle that others can check', {
  timeout: generous,
}, async () => {
  const names = ['one', 'two', 'three']
  const made = await Promise.all(names.map(published))
  for (const { status } of made) {
    const pinnedKey = status?.rootKey ?? ''
    const verdict = checkBundle(status?.bundle?.envelope ?? '', { pinnedKey, now: Date.now() })
    expect(verdict).toMatchObject({ ok: true, bundle: { trustDomain: status?.trustDomain, ownerId: 'clinic' } })
  }
  expect(new Set(made.map(({ status }) => status?.trustDomain)).size).toBe(3)
  for (const name of names) {
    first.look(name)
    second.look(name)
  }
  const secret = await output(owner, ['get', 'secret', 'hansa-identities', '-n', namespace, '-o', 'jsonpath={.data}'])
  expect(Object.keys(JSON.parse(secret)).sort()).toEqual(['one.json', 'three.json', 'two.json'])
  for (const { metadata, status } of made) {
    const { keyPem, publicKey } = JSON.parse(
      Buffer.from(JSON.parse(secret)[`${metadata.name}.json`], 'base64').toString(),
    ).root
    expect(publicKey).toBe(status?.rootKey)
    expect(JSON.stringify(await read(metadata.name))).not.toContain(keyPem.split('\n')[1])
  }
  const events = await output(owner, ['get', 'events', '-n', 'default', '-o', 'jsonpath={.items[*].reason}'])
  expect(events).toContain('KeysMade')
})

test('bundles are renewed before half of their life, and keys change, without a restart', {
  timeout: generous,
}, async () => {
  const before = await published('renewed')
  clock.aheadMilliseconds += 4 * 86_400_000
  first.look('renewed')
  const after = await becomes(
    'renewed',
    'has a newer bundle',
    ({ status }) => (status?.bundle?.sequence ?? 0) > (before.status?.bundle?.sequence ?? 0),
  )
  const bundles = [before, after].map((identity) => {
    const verdict = bundleOfIdentity(identity, { now: clock.now() })
    if (!verdict.ok) throw new Error(verdict.problem.message)
    return verdict.bundle
  })
  expect(bundles.map(({ roleKeys }) => roleKeys.length)).toEqual([3, 6])
  expect(bundles[1]?.authorities).toEqual(bundles[0]?.authorities)
})

test('orders by annotation are carried out and confirmed in the status', { timeout: generous }, async () => {
  const before = await published('ordered')
  await apply('ordered', {}, { 'hansa.dev/rotate-root': '2026-03-01T00:00:00Z' })
  const rotated = await becomes('ordered', 'has rotated', ({ status }) => status?.orders?.rotateRoot !== undefined)
  expect(rotated.status?.rootKey).not.toBe(before.status?.rootKey)
  expect(rotated.status?.trustDomain).toBe(before.status?.trustDomain)
  const pinnedKey = before.status?.rootKey ?? ''
  expect(checkBundle(rotated.status?.bundle?.envelope ?? '', { pinnedKey, now: clock.now() }).ok).toBe(true)
  await apply('ordered', {}, { 'hansa.dev/revoke-identity': 'stolen' })
  const gone = await becomes('ordered', 'is given up', reasonIs('Revoked'))
  const verdict = checkBundle(gone.status?.bundle?.envelope ?? '', { pinnedKey, now: clock.now() })
  expect(verdict).toMatchObject({ ok: true, bundle: { revokedAll: true } })
})

test('a frozen Identity says so and keeps its bundle current', { timeout: generous }, async () => {
  await published('frozen')
  await apply('frozen', { suspend: true })
  const frozen = await becomes('frozen', 'is suspended', reasonIs('Suspended'))
  expect(bundleOfIdentity(frozen, { now: clock.now(), ignoreExpiry: false }).ok).toBe(true)
})

test('a deleted Identity that comes back has its old keys; without them it gets no others', {
  timeout: generous,
}, async () => {
  const before = await published('back')
  await output(owner, ['delete', 'identity', 'back'])
  const after = await published('back')
  expect(after.metadata.uid).not.toBe(before.metadata.uid)
  expect(after.status?.trustDomain).toBe(before.status?.trustDomain)

  const patch = JSON.stringify({ data: { 'back.json': null } })
  await output(owner, ['patch', 'secret', 'hansa-identities', '-n', namespace, '--type=merge', '-p', patch])
  first.look('back')
  const lost = await becomes('back', 'has lost its keys', reasonIs('KeysUnreadable'))
  expect(lost.status?.trustDomain).toBe(before.status?.trustDomain)
  const stored = await first.client.get(secrets, { namespace, name: 'hansa-identities' }, { signal })
  expect(stored?.data?.['back.json']).toBeUndefined()
})

type Endpoint = { url: string; caPem: string }

/** A file with a token of an account for the endpoint. */
async function tokenOf(account: string): Promise<string> {
  const tokenFile = join(folder, `${account}.token`)
  await writeFile(tokenFile, await serviceAccountToken(owner, account, ['hansa-ca']), { mode: 0o600 })
  return tokenFile
}

async function ask(identityName: string, { url: caUrl, caPem }: Endpoint, account: string) {
  const { csrPem } = await certificateRequest()
  const authority = 'spiffe://cluster.hansa/authority'
  return requestOwnerCertificate({
    identityName,
    caUrl,
    caPem,
    authority,
    tokenFile: await tokenOf(account),
    csrPem,
    signal,
  })
}

async function credentials(
  identityName: string,
  { url: caUrl, caPem }: Endpoint,
  account = 'hansa-link',
): Promise<OwnerCredentials> {
  const started = await startOwnerCredentials({
    identityName,
    caUrl,
    caPem,
    tokenFile: await tokenOf(account),
    stateDir: join(folder, 'state', account),
    log,
    signal,
  })
  stops.push(started.close)
  return started
}

test('link and gateway get certificates of an Identity from any replica, and a restart needs none', {
  timeout: generous,
}, async () => {
  // Certificates are checked by the clocks of those who see them: keys of tomorrow would not do.
  clock.aheadMilliseconds = 0
  const identity = await published('speaking')
  const verdict = bundleOfIdentity(identity, { now: clock.now() })
  if (!verdict.ok) throw new Error(verdict.problem.message)
  const { bundle } = verdict
  const endpoint = await startEndpoint(second.client, clock)
  const link = await credentials('speaking', endpoint)
  const gateway = await credentials('speaking', endpoint, 'hansa-gateway')
  expect(link.uri).toBe(`spiffe://${identity.status?.trustDomain}/cluster/main/link`)
  expect(gateway.uri).toBe(`spiffe://${identity.status?.trustDomain}/cluster/main/gateway`)
  const { raw } = new X509Certificate(link.current().certPem)
  expect(judgeCertificate(raw, bundle, Date.now())).toEqual({ ok: true, process: 'link' })

  await expect(ask('nobody', endpoint, 'hansa-link')).rejects.toMatchObject({ reason: 'IdentityNotFound' })
  await expect(ask('speaking', endpoint, 'hansa-fetch')).rejects.toMatchObject({ reason: 'AccountNotAllowed' })

  await apply('speaking', {}, { 'hansa.dev/revoke-keys': '1' })
  const revoked = await becomes('speaking', 'has new keys', ({ status }) => status?.orders?.revokeKeys === '1')
  const after = bundleOfIdentity(revoked, { now: clock.now() })
  if (!after.ok) throw new Error(after.problem.message)
  expect(judgeCertificate(raw, after.bundle, Date.now())).toMatchObject({ ok: false })
  const renewed = new Promise<void>((resolve) => link.onRenewed(resolve))
  link.follow(after.bundle)
  await renewed
  const fresh = new X509Certificate(link.current().certPem).raw
  expect(judgeCertificate(fresh, after.bundle, Date.now())).toEqual({ ok: true, process: 'link' })

  await endpoint.close()
  await link.close()
  const { certPem } = link.current()
  const restarted = await credentials('speaking', endpoint)
  expect(restarted.current().certPem).toBe(certPem)
  expect(await readFile(join(folder, 'state', 'hansa-link', 'owner-speaking.pem'), 'utf8')).toContain(certPem)
})
