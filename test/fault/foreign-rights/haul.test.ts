import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { createAuthority } from '../../cluster/owner/certificates.ts'
import { createHaul } from './haul.ts'

const token = `eyJ${'a'.repeat(20)}.${'b'.repeat(20)}.${'c'.repeat(40)}`
const base64 = (text: string) => Buffer.from(text).toString('base64')

test('finds tokens in the open, in JSON, and in the base64 of a Secret that is in the base64 of another', () => {
  for (const text of [
    `Authorization: Bearer ${token}`,
    JSON.stringify({ a: { token } }),
    base64(base64(`x ${token}`)),
  ]) {
    const haul = createHaul()
    haul.add(text, 'here')
    expect(haul.credentials()).toContainEqual({ kind: 'Token', token, where: 'here' })
  }
})

test('finds a certificate with its key, though they were in different places and forms', async () => {
  const authority = await createAuthority('test')
  const { certPem, keyPem } = await authority.issue({ commonName: 'ada' })
  const haul = createHaul()
  haul.add(JSON.stringify({ 'tls.crt': base64(certPem) }), 'a Secret')
  haul.add(`KEY=${JSON.stringify(keyPem)}`, 'an environment')
  haul.add(authority.certPem, 'a ConfigMap')
  const [found, ...more] = haul.credentials().filter(({ kind }) => kind === 'Certificate')
  expect(more).toEqual([])
  expect(found).toMatchObject({ kind: 'Certificate', where: 'a Secret' })
  expect(haul.bareKeys()).toEqual([])
})

test('finds keys that stand alone, also in DER, and access keys', () => {
  const { privateKey } = generateKeyPairSync('ed25519')
  const der = privateKey.export({ type: 'pkcs8', format: 'der' })
  const key = `hansa_${'0'.repeat(16)}_${'A'.repeat(43)}`
  const haul = createHaul()
  haul.add(JSON.stringify({ root: der.toString('base64'), key }), 'state')
  expect(haul.bareKeys()).toHaveLength(1)
  expect(haul.credentials()).toContainEqual({ kind: 'Token', token: key, where: 'state' })
})

test('finds nothing where there is nothing', () => {
  const haul = createHaul()
  haul.add(
    `kind: ConfigMap\ndata: { note: hello }\n${base64('just a text that is longer than forty-four characters')}`,
    'x',
  )
  expect([haul.credentials(), haul.bareKeys()]).toEqual([[], []])
})
