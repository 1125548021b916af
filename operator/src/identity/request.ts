import { generateKeys, privateKeyPem, signatureAlgorithm } from './keys.ts'
import { Pkcs10CertificateRequestGenerator } from './x509.ts'

/** A fresh private key and a certificate request for it (PKCS #10). The request names nobody: the authority decides the name. */
export async function certificateRequest(): Promise<{ keyPem: string; csrPem: string }> {
  const keys = await generateKeys()
  const csr = await Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm: signatureAlgorithm })
  return { keyPem: await privateKeyPem(keys), csrPem: `${csr.toString('pem')}\n` }
}
