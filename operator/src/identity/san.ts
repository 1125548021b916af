import { X509Certificate as NodeCertificate } from 'node:crypto'
import { SubjectAlternativeNameExtension, X509Certificate } from './x509.ts'

const subjectAltName = '2.5.29.17'

/**
 * The URI subject alternative name of a DER certificate, if it has exactly one. Read from the encoding and not from
 * OpenSSL's text form, whose escaping has been abused to smuggle names (CVE-2021-44532).
 */
export function certificateUri(der: Uint8Array): string | undefined {
  try {
    const uris = altNames(new X509Certificate(Uint8Array.from(der))).filter((name) => name.type === 'url')
    return uris.length === 1 ? uris[0]?.value : undefined
  } catch {
    return undefined // does not decode: no identity
  }
}

/** DNS names and IP addresses that a PEM certificate carries. */
export function certificateHosts(pem: string): string[] {
  const names = altNames(new X509Certificate(new NodeCertificate(pem).raw))
  return names.filter((name) => name.type === 'dns' || name.type === 'ip').map((name) => name.value)
}

function altNames(certificate: X509Certificate) {
  const extensions = certificate.getExtensions(subjectAltName)
  const [extension] = extensions
  if (extensions.length !== 1 || extension === undefined) return []
  return new SubjectAlternativeNameExtension(extension.rawData).names.items
}
