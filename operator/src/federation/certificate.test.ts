import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { peerOf, testOwner } from '../../../test/builders/federation.ts'
import { createAuthority } from '../identity/authority.ts'
import { certificateRequest } from '../identity/request.ts'
import { judgeCertificate, ownerUri, parseOwnerUri } from './certificate.ts'
import { isCertificateAcceptable } from './peer-bundle.ts'

const now = Date.now()
const owner = await testOwner('clinic')
const stranger = await testOwner('stranger')
const { trustDomain } = owner.bundle
const der = (pem: string) => new X509Certificate(pem).raw
const link = der((await owner.certificate('link')).certPem)

async function issued(uri: string, options: { seconds?: number; authority?: typeof owner.authority } = {}) {
  const { csrPem } = await certificateRequest()
  const { certPem } = await (options.authority ?? owner.authority).issue({
    csrPem,
    uri,
    seconds: options.seconds ?? 60,
  })
  return der(certPem)
}

test('names are written and read the same way, and nothing else is a name', () => {
  const name = { trustDomain, clusterName: 'north-1', process: 'gateway' } as const
  expect(parseOwnerUri(ownerUri(name))).toEqual(name)
  const uri = ownerUri(name)
  for (const bad of [
    `${uri}/`,
    uri.toUpperCase(),
    uri.replace('gateway', 'operator'),
    uri.replace('cluster', 'ns'),
    uri.replace(trustDomain, trustDomain.slice(1)),
    uri.replace('north-1', 'north-'),
    `x${uri}`,
    `${uri}\n`,
  ]) {
    expect(parseOwnerUri(bad), bad).toBeUndefined()
  }
})

test("link and gateway are known by their owner's bundle", async () => {
  expect(judgeCertificate(link, owner.bundle, now)).toEqual({ ok: true, process: 'link' })
  const gateway = der((await owner.certificate('gateway')).certPem)
  expect(judgeCertificate(gateway, owner.bundle, now)).toEqual({ ok: true, process: 'gateway' })
  expect(isCertificateAcceptable(link, peerOf(owner), now)).toBe(true)
})

const serial = new X509Certificate(link).serialNumber.toLowerCase()
const caSerial = new X509Certificate(owner.authority.caPem).serialNumber.toLowerCase()
const minting = await createAuthority({ trustDomain })
const future = await createAuthority({ trustDomain, clock: () => new Date(now + 600_000) })

test.for<[string, string, () => Promise<Uint8Array> | Uint8Array, object?, number?]>([
  ['that has ended', 'Expired', () => link, {}, now + 3_700_000],
  ['that has not begun', 'NotYetValid', () => link, {}, now - 3_700_000],
  ['that was revoked', 'Revoked', () => link, { revoked: [serial] }],
  ['whose authority was revoked', 'UnknownAuthority', () => link, { revoked: [caSerial] }],
  ['of an identity that was given up', 'Revoked', () => link, { revokedAll: true }],
  ['whose authority is not in the bundle', 'UnknownAuthority', () => link, { authorities: [minting.caPem] }],
  ['whose authority has not begun', 'UnknownAuthority', () => link, { authorities: [future.caPem] }],
  [
    "of another owner's authority in this owner's name",
    'UnknownAuthority',
    () => issued(ownerUri({ trustDomain, clusterName: 'main', process: 'link' }), { authority: minting }),
  ],
  ['of a stranger', 'WrongName', async () => der((await stranger.certificate('link')).certPem)],
  ['of another cluster', 'WrongName', () => issued(`spiffe://${trustDomain}/cluster/second/link`)],
  ['of a service account', 'WrongName', () => issued(`spiffe://${trustDomain}/ns/hansa/sa/hansa-link`)],
  ['of the authority itself', 'WrongName', () => der(owner.authority.caPem)],
  ['that is noise', 'Malformed', () => Buffer.from('noise')],
])('a certificate %s is refused: %s', async ([, reason, make, change = {}, at = now]) => {
  expect(judgeCertificate(await make(), { ...owner.bundle, ...change }, at)).toMatchObject({ ok: false, reason })
})

test('a live connection ends with the revocation of its certificate, of its identity, and with its bundle', async () => {
  await owner.publish({ revoked: [serial] })
  expect(isCertificateAcceptable(link, peerOf(owner), now)).toBe(false)
  await owner.publish({ revoked: [] })
  expect(isCertificateAcceptable(link, peerOf(owner), now)).toBe(true)
  expect(isCertificateAcceptable(link, { ...peerOf(owner), status: {} }, now)).toBe(false)
  await owner.publish({ issued: new Date(now - 9_000).toISOString(), notAfter: new Date(now - 1).toISOString() })
  expect(isCertificateAcceptable(link, peerOf(owner), now)).toBe(false)
})
