import { HansaError } from '../process/errors.ts'
import { Pkcs10CertificateRequest } from './x509.ts'

const maxPemBytes = 8 * 1024
const onePem = /^\s*-----BEGIN CERTIFICATE REQUEST-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE REQUEST-----\s*$/

/**
 * The public key of a certificate request, once its own signature proves that the requester holds the private key. All else in
 * it (subject, extensions) is ignored. Throws CertificateRequestInvalid.
 */
export async function verifiedRequestKey(csrPem: string): Promise<Pkcs10CertificateRequest['publicKey']> {
  if (csrPem.length > maxPemBytes) throw refused(`the request is longer than ${maxPemBytes} bytes`)
  if (!onePem.test(csrPem)) throw refused('the request is not one PEM block of type CERTIFICATE REQUEST')
  const { publicKey, verified } = await decode(csrPem)
  // Type-checked by its fields: the library types the algorithm as the bare WebCrypto base type.
  const algorithm: { name: string; namedCurve?: unknown } = publicKey.algorithm
  if (algorithm.name !== 'ECDSA' || algorithm.namedCurve !== 'P-256') throw refused('its key is not ECDSA on P-256')
  if (!verified) throw refused('its signature does not belong to its key')
  return publicKey
}

async function decode(csrPem: string) {
  try {
    const csr = new Pkcs10CertificateRequest(csrPem)
    const { publicKey } = csr
    return { publicKey, verified: await csr.verify() }
  } catch (cause) {
    throw refused('the request does not decode', cause)
  }
}

function refused(message: string, cause?: unknown): HansaError {
  return new HansaError('CertificateRequestInvalid', message, { retry: 'never', cause })
}
