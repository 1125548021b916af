import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OwnerIdentity } from '@hansa/operator/api/identity.ts'
import type { Peer } from '@hansa/operator/api/peer.ts'
import { signBundle } from '@hansa/operator/federation/bundle.ts'
import { ownerUri } from '@hansa/operator/federation/certificate.ts'
import { keySigner } from '@hansa/operator/federation/key-signer.ts'
import type { Bundle } from '@hansa/operator/federation/messages.ts'
import { openMessage } from '@hansa/operator/federation/open-message.ts'
import { bundleOfIdentity, isCertificateAcceptable } from '@hansa/operator/federation/peer-bundle.ts'
import { createSeal } from '@hansa/operator/federation/seal-message.ts'
import { loadAuthority } from '@hansa/operator/identity/authority.ts'
import { certificateRequest } from '@hansa/operator/identity/request.ts'
import { systemClock } from '@hansa/operator/kube/clock.ts'
import { type IdentityKeys, parseKeys } from '@hansa/operator/owneridentity/identity-keys.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { installDefinitions } from '../../cluster/definitions.ts'
import { conditionText, type JoinSide, startJoinSide } from '../../cluster/hansa/join-side.ts'
import { type Owner, startOwner } from '../../cluster/owner.ts'
import { eventually } from '../../demo/wait.ts'

const { signal } = new AbortController()
const clusters: Owner[] = []
const sides: JoinSide[] = []
let folder = ''
const started = <T>(list: readonly T[], index: number): T => {
  const found = list[index]
  if (found === undefined) throw new Error('it did not start')
  return found
}
const clinic = () => started(sides, 0)
const university = () => started(sides, 1)

async function ok(side: JoinSide, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await side.hansa(args)
  expect({ args, code, stderr }).toEqual({ args, code: 0, stderr })
  return stdout
}

async function get<T>(cluster: Owner, path: string): Promise<T> {
  const { status, body } = await cluster.request({ path: `/apis/hansa.dev/v1alpha1/${path}` })
  if (status !== 200) throw new Error(`${path}: ${status}`)
  // Its form is that of the definition, which the API server has checked.
  return body as T
}
const identityOfClinic = () => get<OwnerIdentity>(started(clusters, 0), 'identities/main')
const peerAtUniversity = () => get<Peer>(started(clusters, 1), 'peers/clinic')

/** What a thief gets who reads the Secret: every private key of that moment. */
async function steal(): Promise<IdentityKeys> {
  const path = '/api/v1/namespaces/default/secrets/hansa-identities'
  const { body } = await started(clusters, 0).request({ path })
  const { data } = body as { data: Record<string, string> }
  return parseKeys(Buffer.from(data['main.json'] ?? '', 'base64').toString())
}

/** A message to the university, signed by a role key that somebody has. */
async function messageBy({ roleKeys }: IdentityKeys, bundle: Bundle): Promise<string> {
  const atClinic = await get<Peer>(started(clusters, 0), 'peers/university')
  const seal = createSeal({
    clock: systemClock,
    sealingOf: async () => ({ bundle, signerOf: (role) => signerOf(roleKeys, role) }),
  })
  const body = { sequence: Date.now(), requestId: '00000000-0000-4000-8000-000000000000', reason: 'none' }
  return seal('Cancel', body, { identityName: 'main', peer: atClinic, seconds: 3600, signal })
}
function signerOf(roleKeys: IdentityKeys['roleKeys'], role: string) {
  const key = roleKeys.find((each) => each.role === role && each.keyPem !== undefined)
  if (key?.keyPem === undefined) throw new Error(`no key ${role}`)
  return keySigner(key.keyPem)
}

/** A certificate of the clinic's link, by an authority that somebody has. */
async function certificateBy({ authorities }: IdentityKeys, trustDomain: string): Promise<Buffer> {
  const [authority] = authorities
  if (authority === undefined) throw new Error('no authority')
  const issuer = await loadAuthority({ keyPem: authority.keyPem, certPem: authority.certPem, trustDomain })
  const { csrPem } = await certificateRequest()
  const uri = ownerUri({ trustDomain, clusterName: 'main', process: 'link' })
  return new X509Certificate((await issuer.issue({ csrPem, uri, seconds: 600 })).certPem).raw
}

async function ownBundle(index: 0 | 1): Promise<Bundle> {
  const identity = await get<OwnerIdentity>(started(clusters, index), 'identities/main')
  const verdict = bundleOfIdentity(identity, { now: Date.now() })
  if (!verdict.ok) throw new Error(verdict.problem.message)
  return verdict.bundle
}
const taken = async (envelope: string) =>
  openMessage('Cancel', envelope, { peer: await peerAtUniversity(), ownBundle: await ownBundle(1), now: Date.now() })
const letsIn = async (der: Buffer) => isCertificateAcceptable(der, await peerAtUniversity(), Date.now())

/** Waits until the clinic has published what `holds`, and hands its bundle to the university as the link does. */
async function deliver(holds: (bundle: Bundle) => boolean): Promise<Bundle> {
  const bundle = await eventually('the clinic publishes a bundle', async () => {
    const present = await ownBundle(0)
    return holds(present) ? present : undefined
  })
  await hand((await identityOfClinic()).status?.bundle?.envelope ?? '')
  await eventually('the university takes it', async () =>
    (await peerAtUniversity()).status?.bundle?.sequence === bundle.sequence ? true : undefined,
  )
  return bundle
}
const hand = (bundle: string) =>
  university().linkSays('clinic', [{ replica: 'link-0', connected: true, direction: 'Inbound', bundle }])

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hansa-drill-'))
  clusters.push(...(await Promise.all(['clinic', 'university'].map((name) => startOwner({ name })))))
  await Promise.all(clusters.map(installDefinitions))
  for (const cluster of clusters) sides.push(await startJoinSide(cluster, 'operator'))
  for (const [index, owner] of ['clinic', 'university'].entries()) {
    await ok(started(sides, index), 'identity', 'create', 'main', '--owner', owner)
    await eventually(`the Identity of ${owner} is Ready`, async () =>
      (await started(sides, index).hansa(['identity', 'show', 'main'])).code === 0 ? true : undefined,
    )
  }
  const [invite, acceptance] = [join(folder, 'invite.json'), join(folder, 'acceptance.json')]
  await ok(clinic(), 'peer', 'invite', 'university', '--identity', 'main', '-o', invite)
  await ok(university(), 'peer', 'accept', invite, '--name', 'clinic', '--identity', 'main', '-o', acceptance)
  await ok(clinic(), 'peer', 'complete', acceptance)
  const heard = await ok(clinic(), 'peer', 'fingerprint', 'university')
  await ok(university(), 'peer', 'verify', 'clinic', '--fingerprint', heard)
  await ok(
    clinic(),
    'peer',
    'verify',
    'university',
    '--fingerprint',
    await ok(university(), 'peer', 'fingerprint', 'clinic'),
  )
  expect(conditionText(await university().judged('clinic'), 'Verified')).toBe('True FingerprintMatches')
  expect(conditionText(await clinic().judged('university'), 'Verified')).toBe('True FingerprintMatches')
  for (const file of [invite, acceptance]) expect(await readFile(file, 'utf8')).not.toContain('PRIVATE')
})
afterAll(async () => {
  await Promise.all(sides.map((each) => each.stop()))
  await Promise.all(clusters.map((each) => each.stop()))
  await rm(folder, { recursive: true, force: true })
})

test('stolen role and link keys work for the thief until they are revoked, then only the new ones do', async () => {
  const stolen = await steal()
  const before = await ownBundle(0)
  const forged = await certificateBy(stolen, before.trustDomain)
  expect(await taken(await messageBy(stolen, before))).toMatchObject({ ok: true })
  expect(await letsIn(forged)).toBe(true)

  await ok(clinic(), 'identity', 'revoke-keys', 'main')
  const after = await deliver(({ revoked }) => revoked.length > 0)
  expect(await taken(await messageBy(stolen, before))).toMatchObject({ ok: false, problem: { reason: 'KeyRevoked' } })
  expect(await letsIn(forged)).toBe(false)
  expect(await letsIn(await certificateBy(stolen, before.trustDomain))).toBe(false)

  const fresh = await steal()
  expect(await taken(await messageBy(fresh, after))).toMatchObject({ ok: true })
  expect(await letsIn(await certificateBy(fresh, after.trustDomain))).toBe(true)
  expect(conditionText(await university().judged('clinic'), 'Verified')).toBe('True FingerprintMatches')
  expect(conditionText(await clinic().judged('university'), 'Verified')).toBe('True FingerprintMatches')
})

test('a bundle from before the revocation does not bring the stolen keys back', async () => {
  const stolen = await steal()
  const old = (await identityOfClinic()).status?.bundle?.envelope ?? ''
  await ok(clinic(), 'identity', 'revoke-keys', 'main')
  const { sequence } = await deliver(({ revoked }) => stolen.roleKeys.every(({ keyId }) => revoked.includes(keyId)))
  await hand(old)
  await ok(university(), 'peer', 'freeze', 'clinic', '--reason', 'drill')
  await ok(university(), 'peer', 'unfreeze', 'clinic')
  expect((await university().judged('clinic')).status.bundle?.sequence).toBe(sequence)
})

test('after a rotation the old root key signs nothing more that peers take', async () => {
  const stolen = await steal()
  await ok(clinic(), 'identity', 'rotate-root', 'main')
  const after = await deliver(({ rotations }) => rotations.length === 1)
  expect((await peerAtUniversity()).status?.rootKey).toBe(after.rootKey)
  const thief = keySigner(stolen.root.keyPem ?? '')
  const forgery = { ...after, rootKey: thief.publicKey, rotations: [], sequence: after.sequence + 1000 }
  await hand(await signBundle(forgery, thief, signal))
  await ok(university(), 'peer', 'freeze', 'clinic', '--reason', 'drill')
  await ok(university(), 'peer', 'unfreeze', 'clinic')
  const { status } = await university().judged('clinic')
  expect(status).toMatchObject({ rootKey: after.rootKey, bundle: { sequence: after.sequence } })
  expect(conditionText(await university().judged('clinic'), 'Verified')).toBe('True FingerprintMatches')
})

test('an identity that is given up is refused for good, and the owner joins again under a new one', async () => {
  await ok(clinic(), 'identity', 'revoke', 'main', '--yes')
  await hand(
    await eventually('the clinic publishes its end', async () => {
      const identity = await identityOfClinic()
      const verdict = bundleOfIdentity(identity, { now: Date.now() })
      return verdict.ok && verdict.bundle.revokedAll ? identity.status?.bundle?.envelope : undefined
    }),
  )
  await eventually('the university hears of it', async () =>
    conditionText(await university().judged('clinic'), 'Verified') === 'False Revoked' ? true : undefined,
  )
  await ok(university(), 'peer', 'leave', 'clinic', '--yes')
  await ok(clinic(), 'peer', 'leave', 'university', '--yes')
  await ok(clinic(), 'identity', 'create', 'second', '--owner', 'clinic')
  const invite = join(folder, 'again.json')
  await eventually('the new Identity invites', async () =>
    (await clinic().hansa(['peer', 'invite', 'university', '--identity', 'second', '-o', invite])).code === 0
      ? true
      : undefined,
  )
  await ok(university(), 'peer', 'accept', invite, '--name', 'clinic', '--identity', 'main')
  expect(conditionText(await university().judged('clinic'), 'Verified')).toBe('False Unverified')
})
