import { createPrivateKey, webcrypto } from 'node:crypto'
import type { Authority } from '@hansa/operator/identity/authority.ts'
import { generateKeys, keyAlgorithm, privateKeyPem, signatureAlgorithm } from '@hansa/operator/identity/keys.ts'
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@hansa/operator/identity/x509.ts'

/** A certificate by an authority's key, with whatever names and times a hostile owner likes. */
export async function mint(
  authority: Authority,
  options: { uris: readonly string[]; notAfter?: Date },
): Promise<{ keyPem: string; certPem: string }> {
  const { keyPem, certPem } = await authority.toPem()
  const der = createPrivateKey(keyPem).export({ type: 'pkcs8', format: 'der' })
  const signingKey = await webcrypto.subtle.importKey('pkcs8', Uint8Array.from(der), keyAlgorithm, false, ['sign'])
  const keys = await generateKeys()
  const notAfter = options.notAfter ?? new Date(Date.now() + 3_600_000)
  const certificate = await X509CertificateGenerator.create({
    serialNumber: Buffer.from(webcrypto.getRandomValues(new Uint8Array(8))).toString('hex'),
    subject: 'O=Hostile',
    issuer: new X509Certificate(certPem).subjectName,
    notBefore: new Date(notAfter.getTime() - 7_200_000),
    notAfter,
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: signatureAlgorithm,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new SubjectAlternativeNameExtension(options.uris.map((value) => ({ type: 'url', value }))),
    ],
  })
  return { keyPem: await privateKeyPem(keys), certPem: `${certificate.toString('pem')}\n` }
}
