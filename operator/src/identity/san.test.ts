import { X509Certificate as NodeCertificate } from 'node:crypto'
import { array, assert, asyncProperty, constantFrom, integer, property, record, stringMatching } from 'fast-check'
import { expect, test } from 'vitest'
import { createAuthority } from './authority.ts'
import { generateKeys, signatureAlgorithm } from './keys.ts'
import { issueCredentials } from './memory-identity.ts'
import { certificateDnsNames, certificateUri } from './san.ts'
import {
  BasicConstraintsExtension,
  type JsonGeneralName,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from './x509.ts'

const keys = await generateKeys()
const uri = 'spiffe://city.hansa/ns/radiology/sa/triage-worker'

async function certificate(...lists: JsonGeneralName[][]): Promise<Uint8Array> {
  const made = await X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: 'CN=test',
    notBefore: new Date(),
    notAfter: new Date(Date.now() + 60_000),
    keys,
    signingAlgorithm: signatureAlgorithm,
    extensions: [
      new BasicConstraintsExtension(false),
      ...lists.map((names, i) => new SubjectAlternativeNameExtension(names, i === 0)),
    ],
  })
  return new Uint8Array(made.rawData)
}

test('the URI and DNS names of a certificate of ours are found', async () => {
  const authority = await createAuthority({ trustDomain: 'city.hansa' })
  const { certPem } = await issueCredentials(authority, uri, { dnsNames: ['a.svc', '127.0.0.1', 'b.svc'] })
  expect(certificateUri(new NodeCertificate(certPem).raw)).toBe(uri)
  expect(certificateDnsNames(certPem)).toEqual(['a.svc', 'b.svc'])
})

test('no list of names, or two, is no identity', async () => {
  expect(certificateUri(await certificate())).toBeUndefined()
  const names: JsonGeneralName[] = [{ type: 'url', value: uri }]
  expect(certificateUri(await certificate(names))).toBe(uri)
  expect(certificateUri(await certificate(names, names))).toBeUndefined()
})

test('of any mix of names exactly one URI is an identity', async () => {
  const name = record({ type: constantFrom('url' as const, 'dns' as const), value: stringMatching(/^[a-z:/.]{1,60}$/) })
  await assert(
    asyncProperty(array(name, { minLength: 1, maxLength: 5 }), async (names) => {
      const uris = names.filter(({ type }) => type === 'url')
      expect(certificateUri(await certificate(names))).toBe(uris.length === 1 ? uris[0]?.value : undefined)
    }),
    { numRuns: 60 },
  )
})

test('whatever the bytes, there is an answer, and no other URI than the one that was written', async () => {
  const der = await certificate([
    { type: 'dns', value: 'a.svc' },
    { type: 'url', value: uri },
  ])
  const where = Buffer.from(der).indexOf(uri)
  const change = record({ at: integer({ min: 0, max: der.length - 1 }), to: integer({ min: 0, max: 255 }) })
  assert(
    property(array(change, { minLength: 1, maxLength: 3 }), integer({ min: 0, max: der.length }), (changes, length) => {
      const bytes = Uint8Array.from(der)
      for (const { at, to } of changes) if (at < where || at >= where + uri.length) bytes[at] = to
      expect([undefined, uri]).toContain(certificateUri(bytes.subarray(0, length)))
      expect([undefined, uri]).toContain(certificateUri(bytes))
    }),
    { numRuns: 3000 },
  )
  expect(certificateUri(new Uint8Array())).toBeUndefined()
})

test('a control character or a byte beyond ASCII in a URI is no identity', async () => {
  const der = await certificate([{ type: 'url', value: uri }])
  const where = Buffer.from(der).indexOf(uri)
  for (const bad of [0x00, 0x0a, 0x20, 0x7f, 0xe9]) {
    const bytes = Uint8Array.from(der)
    bytes[where + 10] = bad
    expect(certificateUri(bytes)).toBeUndefined()
  }
})
