import { X509Certificate as NodeCertificate, webcrypto } from 'node:crypto'
import { assert, asyncProperty, string } from 'fast-check'
import { expect, test } from 'vitest'
import { HansaError } from '../process/errors.ts'
import { createAuthority, loadAuthority } from './authority.ts'
import { certificateRequest } from './request.ts'
import { certificateUri } from './san.ts'
import { spiffe } from './spiffe.ts'
import { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } from './x509.ts'

const authority = await createAuthority({ trustDomain: 'city.hansa' })
const uri = spiffe('city.hansa', 'radiology', 'triage-worker')

test('a certificate carries the URI that the authority chose and nothing of what the request asked for', async () => {
  const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
  const csr = await Pkcs10CertificateRequestGenerator.create({
    name: 'CN=hansa-gateway',
    keys,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions: [
      new SubjectAlternativeNameExtension([{ type: 'url', value: spiffe('city.hansa', 'hansa', 'hansa-gateway') }]),
    ],
  })
  const { certPem } = await authority.issue({ csrPem: csr.toString('pem'), uri, seconds: 3600 })
  const certificate = new NodeCertificate(certPem)
  expect(certificate.subjectAltName).toBe(`URI:${uri}`)
  expect(certificate.subject).toBe('O=Hansa')
  expect(certificate.ca).toBe(false)
  expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
  expect(certificate.verify(new NodeCertificate(authority.caPem).publicKey)).toBe(true)
})

test('serial numbers are positive, long and never the same', async () => {
  const serials = new Set<string>()
  for (let n = 0; n < 20; n++) serials.add(new NodeCertificate(await issued(60)).serialNumber)
  expect(serials.size).toBe(20)
  for (const serial of serials) expect(serial).toMatch(/^01[0-9A-F]{32}$/)
})

test('a certificate starts five minutes early, for clocks that are behind, and ends when asked', async () => {
  const before = Date.now()
  const certificate = new NodeCertificate(await issued(3600))
  expect(Math.abs(certificate.validFromDate.getTime() - (before - 300_000))).toBeLessThan(5_000)
  expect(Math.abs(certificate.validToDate.getTime() - (before + 3_600_000))).toBeLessThan(5_000)
})

test('no certificate outlives its authority', async () => {
  const now = new Date('2040-01-01T00:00:00Z')
  const old = await createAuthority({ trustDomain: 'city.hansa', clock: () => now })
  now.setUTCFullYear(2049, 11, 31)
  const { csrPem } = await certificateRequest()
  const { notAfter } = await old.issue({ csrPem, uri, seconds: 72 * 3600 })
  expect(notAfter.toISOString()).toBe('2049-12-31T23:55:00.000Z')
})

test.for([
  ['another trust domain', { uri: 'spiffe://other.hansa/ns/a/sa/b' }],
  ['a trust domain that only begins alike', { uri: 'spiffe://city.hansa.evil/ns/a/sa/b' }],
  ['no lifetime', { seconds: 0 }],
  ['a lifetime that is not a number', { seconds: Number.NaN }],
  ['a lifetime of a year', { seconds: 366 * 86_400 }],
  ['too many names', { dnsNames: Array.from({ length: 17 }, (_, n) => `n${n}.svc`) }],
  ['a wildcard name', { dnsNames: ['*.svc'] }],
  ['a name that ends another', { dnsNames: ['a.svc\0.evil'] }],
] as const)('refuses %s', async ([, change]) => {
  const { csrPem } = await certificateRequest()
  await expect(authority.issue({ csrPem, uri, seconds: 60, ...change })).rejects.toThrow(HansaError)
})

test.for(['RSA', 'P-384'])('refuses a request with a key of type %s', async (type) => {
  const keys =
    type === 'RSA'
      ? await webcrypto.subtle.generateKey(
          {
            name: 'RSASSA-PKCS1-v1_5',
            modulusLength: 2048,
            publicExponent: new Uint8Array([1, 0, 1]),
            hash: 'SHA-256',
          },
          true,
          ['sign', 'verify'],
        )
      : await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-384' }, true, ['sign', 'verify'])
  const signingAlgorithm = { ...keys.privateKey.algorithm, hash: 'SHA-256' }
  const csr = await Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm })
  await expect(authority.issue({ csrPem: csr.toString('pem'), uri, seconds: 60 })).rejects.toThrow('not ECDSA on P-256')
})

test('refuses a request for a key that the requester does not hold', async () => {
  const mine = derOf((await certificateRequest()).csrPem)
  const theirs = derOf((await certificateRequest()).csrPem)
  // Both requests have the same shape; the 65 bytes of the public point follow the same header.
  const point = mine.indexOf(Buffer.from('03420004', 'hex'))
  expect(point).toBeGreaterThan(0)
  theirs.copy(mine, point + 3, point + 3, point + 3 + 65)
  const stolen = `-----BEGIN CERTIFICATE REQUEST-----\n${mine.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`
  await expect(authority.issue({ csrPem: stolen, uri, seconds: 60 })).rejects.toThrow(
    'its signature does not belong to its key',
  )
})

test('refuses two requests in one, text around one, and more than 8 KiB', async () => {
  const { csrPem } = await certificateRequest()
  for (const bad of [
    csrPem + csrPem,
    `evil${csrPem}`,
    csrPem.replace('REQUEST-----\n', `REQUEST-----\n${'A'.repeat(8192)}`),
  ]) {
    await expect(authority.issue({ csrPem: bad, uri, seconds: 60 })).rejects.toThrow('the request is')
  }
})

test('whatever stands in a request, it is refused as invalid or signed, never anything else', async () => {
  const { csrPem } = await certificateRequest()
  const lines = csrPem.trim().split('\n')
  await assert(
    asyncProperty(string({ maxLength: 200 }), async (noise) => {
      const body = Buffer.from(noise).toString('base64')
      const bad = [lines[0], body, lines.at(-1)].join('\n')
      const failure = await authority.issue({ csrPem: bad, uri, seconds: 60 }).catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(HansaError)
      expect(failure).toMatchObject({ reason: 'CertificateRequestInvalid', retry: 'never' })
    }),
    { numRuns: 200 },
  )
})

test('a stored authority signs for the same trust bundle after a restart', async () => {
  const loaded = await loadAuthority({ ...(await authority.toPem()), trustDomain: 'city.hansa' })
  expect(loaded.caPem).toBe(authority.caPem)
  const { csrPem } = await certificateRequest()
  const { certPem } = await loaded.issue({ csrPem, uri, seconds: 60 })
  expect(new NodeCertificate(certPem).verify(new NodeCertificate(authority.caPem).publicKey)).toBe(true)
})

test('a stored authority is refused for another trust domain, with a foreign key, expired, or as a mere certificate', async () => {
  const pem = await authority.toPem()
  const other = await (await createAuthority({ trustDomain: 'city.hansa' })).toPem()
  const old = await createAuthority({ trustDomain: 'city.hansa', clock: () => new Date('2010-01-01') })
  const { keyPem, csrPem } = await certificateRequest()
  const leaf = await authority.issue({ csrPem, uri, seconds: 60 })
  const load = (given: { keyPem: string; certPem: string }, trustDomain = 'city.hansa') =>
    loadAuthority({ ...given, trustDomain })
  await expect(load(pem, 'other.hansa')).rejects.toThrow('it is for spiffe://city.hansa, not spiffe://other.hansa')
  await expect(load({ ...pem, keyPem: other.keyPem })).rejects.toThrow('its key and certificate do not match')
  await expect(load(await old.toPem())).rejects.toThrow('it expired at')
  await expect(load({ keyPem, certPem: leaf.certPem })).rejects.toThrow('its certificate may not sign others')
  await expect(load({ keyPem: 'nonsense', certPem: 'nonsense' })).rejects.toThrow('it does not decode')
})

test('names and addresses stand in the certificate beside the one URI', async () => {
  const { csrPem } = await certificateRequest()
  const dnsNames = ['hansa-gateway.hansa.svc', '127.0.0.7', '::1']
  const { certPem } = await authority.issue({ csrPem, uri, dnsNames, seconds: 60 })
  const certificate = new NodeCertificate(certPem)
  expect(certificate.checkHost('hansa-gateway.hansa.svc')).toBe('hansa-gateway.hansa.svc')
  expect(certificate.checkIP('127.0.0.7')).toBe('127.0.0.7')
  expect(certificate.checkIP('::1')).toBe('::1')
  expect(certificateUri(certificate.raw)).toBe(uri)
})

async function issued(seconds: number): Promise<string> {
  const { csrPem } = await certificateRequest()
  return (await authority.issue({ csrPem, uri, seconds })).certPem
}

function derOf(pem: string): Buffer {
  return Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')
}
