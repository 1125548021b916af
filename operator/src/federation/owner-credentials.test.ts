import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { testOwner } from '../../../test/builders/federation.ts'
import { createAuthority } from '../identity/authority.ts'
import { type OwnerCertificateIssuer, startCertificateEndpoint } from '../identity/endpoint.ts'
import { Refusal } from '../identity/refusal.ts'
import { startOwnerCredentials } from './owner-credentials.ts'

const log = pino({ level: 'silent' })
const cluster = await createAuthority({ trustDomain: 'cluster.hansa' })
const owner = await testOwner('clinic')
const stranger = await testOwner('stranger')
const uri = `spiffe://${owner.bundle.trustDomain}/cluster/main/link`
let folder: string
let stop: AbortController
const closing: (() => Promise<void>)[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hansa-credentials-'))
  await writeFile(join(folder, 'token'), 'token-1\n')
  stop = new AbortController()
})

afterEach(async () => {
  stop.abort()
  for (const close of closing.splice(0)) await close()
  await rm(folder, { recursive: true })
})

async function serve(ownerCertificate: OwnerCertificateIssuer) {
  const endpoint = await startCertificateEndpoint({
    authority: cluster,
    host: '127.0.0.1',
    port: 0,
    reviewToken: async () => ({ namespace: 'hansa', serviceAccount: 'hansa-link' }),
    allowedDnsNames: () => [],
    ownerCertificate,
    log,
    registry: new Registry(),
  })
  closing.push(endpoint.close)
  return endpoint
}

const issuing =
  (
    options: { from?: typeof owner; name?: string; authorities?: string[]; seconds?: number } = {},
  ): OwnerCertificateIssuer =>
  async ({ csrPem }) => {
    const { from = owner, name = uri, seconds = 3600, authorities = from.bundle.authorities } = options
    const { certPem, notAfter } = await from.authority.issue({ csrPem, uri: name, seconds })
    return { certificate: certPem, notAfter: notAfter.toISOString(), authorities }
  }

async function start(caUrl: string) {
  const started = await startOwnerCredentials({
    identityName: 'main',
    caUrl,
    caPem: cluster.caPem,
    tokenFile: join(folder, 'token'),
    stateDir: join(folder, 'state'),
    log,
    signal: stop.signal,
  })
  closing.push(started.close)
  return started
}

test('a link gets its certificate, keeps it where only it may read, and needs no operator after a restart', async () => {
  const endpoint = await serve(issuing())
  const first = await start(endpoint.url)
  expect(first.uri).toBe(uri)
  expect(first.current().caPem).toBe(owner.authority.caPem)
  expect((await stat(join(folder, 'state', 'owner-main.pem'))).mode & 0o777).toBe(0o600)
  await endpoint.close()
  closing.length = 0
  await first.close()
  const { keyPem, certPem, caPem } = first.current()
  expect((await start(endpoint.url)).current()).toMatchObject({ keyPem, certPem, caPem })
})

test('it is renewed by itself, and at once when its bundle does not know it any more', async () => {
  const endpoint = await serve(issuing({ seconds: 3 }))
  const link = await start(endpoint.url)
  const renewal = () => new Promise<void>((resolve) => link.onRenewed(resolve))
  const { certPem } = link.current()
  await renewal()
  expect(link.current().certPem).not.toBe(certPem)

  const steady = await start((await serve(issuing())).url)
  const before = new X509Certificate(steady.current().certPem)
  steady.follow(owner.bundle)
  const renewed = new Promise<void>((resolve) => steady.onRenewed(resolve))
  steady.follow({ ...owner.bundle, revoked: [before.serialNumber.toLowerCase()] })
  await renewed
  expect(new X509Certificate(steady.current().certPem).serialNumber).not.toBe(before.serialNumber)
})

test.for<[string, OwnerCertificateIssuer]>([
  [
    'of another owner',
    issuing({
      from: stranger,
      name: `spiffe://${stranger.bundle.trustDomain}/cluster/main/link`,
      authorities: owner.bundle.authorities,
    }),
  ],
  ['of a service account', issuing({ name: `spiffe://${owner.bundle.trustDomain}/ns/hansa/sa/hansa-link` })],
  ['whose authority is not told', issuing({ authorities: stranger.bundle.authorities })],
  ['that does not come', async () => Promise.reject(new Refusal(503, 'IdentityNotReady', 'not yet', 1))],
])('an answer with a certificate %s is not taken, and the next one is', async ([, bad]) => {
  let asked = 0
  const endpoint = await serve((request) => (++asked === 1 ? bad(request) : issuing()(request)))
  const link = await start(endpoint.url)
  expect(asked).toBe(2)
  expect(link.uri).toBe(uri)
})

test('what stands in the state folder and is not ours is not used', async () => {
  const endpoint = await serve(issuing())
  const file = join(folder, 'state', 'owner-main.pem')
  const first = await start(endpoint.url)
  const { keyPem, certPem, caPem } = first.current()
  const other = await owner.certificate('link')
  for (const text of [
    '',
    'noise',
    keyPem + certPem,
    other.keyPem + certPem + caPem,
    keyPem + certPem + stranger.authority.caPem,
  ]) {
    await writeFile(file, text)
    const link = await start(endpoint.url)
    expect(link.current().certPem).not.toBe(certPem)
  }
})
