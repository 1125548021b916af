import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { createAuthority } from '../../cluster/owner/certificates.ts'
import { forge } from './forge.ts'
import { createHaul } from './haul.ts'

test('a stolen authority signs what its own verifiers take', async () => {
  const authority = await createAuthority('home')
  const haul = createHaul()
  haul.add(authority.certPem + authority.keyPem, 'a folder')
  const forged = await forge(haul)
  expect(forged).toHaveLength(3)
  for (const each of forged) {
    if (each.kind !== 'Certificate') throw new Error('not a certificate')
    const certificate = new X509Certificate(each.certPem)
    const issuer = new X509Certificate(authority.certPem)
    expect([certificate.checkIssued(issuer), certificate.verify(issuer.publicKey)]).toEqual([true, true])
  }
})
