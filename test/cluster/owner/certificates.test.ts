import { createPublicKey, X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { createAuthority, createSigningKey } from './certificates.ts'

test('an issued certificate is good for its names, addresses and groups under its own authority alone', async () => {
  const [own, other] = await Promise.all([createAuthority('own'), createAuthority('other')])
  const { certPem, keyPem } = await own.issue({
    commonName: 'system:node:gpu-1',
    organizations: ['system:nodes', 'hansa'],
    dnsNames: ['gpu-1', 'gpu-1.example'],
    ipAddresses: ['127.0.0.7'],
  })
  const certificate = new X509Certificate(certPem)
  expect(certificate.subject).toBe('O=system:nodes\nO=hansa\nCN=system:node:gpu-1')
  expect(certificate.verify(createPublicKey(own.certPem))).toBe(true)
  expect(certificate.verify(createPublicKey(other.certPem))).toBe(false)
  expect(certificate.checkIssued(new X509Certificate(own.certPem))).toBe(true)
  expect(certificate.checkHost('gpu-1.example')).toBe('gpu-1.example')
  expect(certificate.checkHost('gpu-2')).toBeUndefined()
  expect(certificate.checkIP('127.0.0.7')).toBe('127.0.0.7')
  expect(certificate.ca).toBe(false)
  expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
  const publicPem = (key: Parameters<typeof createPublicKey>[0]) =>
    createPublicKey(key).export({ type: 'spki', format: 'pem' })
  expect(publicPem(keyPem)).toEqual(publicPem(certPem))
})

test('an authority is one and signs itself', async () => {
  const { certPem } = await createAuthority('stmary Kubernetes')
  const certificate = new X509Certificate(certPem)
  expect(certificate.ca).toBe(true)
  expect(certificate.subject).toBe('CN=stmary Kubernetes')
  expect(certificate.verify(certificate.publicKey)).toBe(true)
})

test('certificates are valid now, whatever the clock of a neighbour says within an hour', async () => {
  const { certPem } = await createAuthority('x')
  const { validFromDate, validToDate } = new X509Certificate(certPem)
  expect(Date.now() - validFromDate.getTime()).toBeGreaterThanOrEqual(60 * 60 * 1_000 - 1_000)
  expect(validToDate.getTime() - Date.now()).toBeGreaterThan(9 * 24 * 60 * 60 * 1_000)
})

test('tokens are signed with RSA', async () => {
  const { privatePem, publicPem } = await createSigningKey()
  expect(privatePem).toContain('BEGIN RSA PRIVATE KEY')
  expect(createPublicKey(publicPem).asymmetricKeyType).toBe('rsa')
})
