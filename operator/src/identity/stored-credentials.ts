import { createPrivateKey, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { readStateFile, writeStateFile } from '../process/state-file.ts'
import { type Held, renewalTime } from './renewing-identity.ts'
import { certificateDnsNames, certificateUri } from './san.ts'
import { parseSpiffe } from './spiffe.ts'

const fileName = 'identity.pem'
const block = /-----BEGIN ([A-Z ]+)-----[A-Za-z0-9+/=\s]+?-----END \1-----\n?/g

/** Keeps key and certificate in one file (mode 0600), so that a crash never leaves one without the other. */
export function storeCredentials(stateDir: string, held: { keyPem: string; certPem: string }): Promise<void> {
  return writeStateFile(join(stateDir, fileName), held.keyPem + held.certPem)
}

/** The stored credentials if they are still good: one of our authority, unexpired, with the names asked for; else undefined. */
export async function loadCredentials(
  stateDir: string,
  wanted: { caPem: string; dnsNames: readonly string[]; now: number },
): Promise<(Held & { uri: string }) | undefined> {
  const text = await readStateFile(join(stateDir, fileName), { maxBytes: 64 * 1024 })
  const [keyPem, certPem, ...more] = [...(text ?? '').matchAll(block)].map((match) => match[0])
  if (keyPem === undefined || certPem === undefined || more.length > 0) return undefined
  try {
    const uri = checkedCertificate({ keyPem, certPem, caPem: wanted.caPem, dnsNames: wanted.dnsNames })
    const { validFromDate, validToDate } = new X509Certificate(certPem)
    const notAfter = validToDate.getTime()
    if (notAfter <= wanted.now || validFromDate.getTime() > wanted.now) return undefined
    const renewAt = renewalTime(validFromDate.getTime(), notAfter)
    return { keyPem, certPem, caPem: wanted.caPem, notAfter, renewAt, uri }
  } catch {
    return undefined // made for another authority or by another version: a new one is asked for
  }
}

/** The service account's URI of a certificate after checking that it is ours in every way. Throws saying why it is not. */
export function checkedCertificate(given: {
  keyPem: string
  certPem: string
  caPem: string
  dnsNames: readonly string[]
}): string {
  const certificate = new X509Certificate(given.certPem)
  if (!certificate.checkPrivateKey(createPrivateKey(given.keyPem)))
    throw new Error('the certificate is for another key')
  if (!trustedBy(given.caPem, certificate)) throw new Error('the certificate is not from the trusted authority')
  const uri = certificateUri(certificate.raw)
  if (uri === undefined || parseSpiffe(uri) === undefined) throw new Error('the certificate names no service account')
  const hosts = certificateDnsNames(given.certPem)
  const carries = (name: string) => (isIP(name) === 0 ? hosts.includes(name) : certificate.checkIP(name) !== undefined)
  if (!given.dnsNames.every(carries)) throw new Error('the certificate lacks a name asked for')
  return uri
}

/** The authorities of a PEM bundle. */
export function bundle(caPem: string): X509Certificate[] {
  return [...caPem.matchAll(block)].map((match) => new X509Certificate(match[0]))
}

function trustedBy(caPem: string, certificate: X509Certificate): boolean {
  return bundle(caPem).some((ca) => certificate.checkIssued(ca) && certificate.verify(ca.publicKey))
}
