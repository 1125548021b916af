import { createPrivateKey, X509Certificate as NodeCertificate, randomBytes, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import { HansaError } from '../process/errors.ts'
import { generateKeys, keyAlgorithm, privateKeyPem, signatureAlgorithm } from './keys.ts'
import { certificateUri } from './san.ts'
import { trustDomainUri } from './spiffe.ts'
import { verifiedRequestKey } from './verified-request-key.ts'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from './x509.ts'

/** `dnsNames` may hold IP addresses too; the caller has checked that the requester may use them. */
export type IssueRequest = { csrPem: string; uri: string; dnsNames?: readonly string[]; seconds: number }
export type Issued = { certPem: string; notAfter: Date }

/** The certificate authority of one owner's cluster. Only `toPem` gives the key away, for the operator's Secret. */
export type Authority = {
  readonly trustDomain: string
  readonly caPem: string
  issue(request: IssueRequest): Promise<Issued>
  toPem(): Promise<{ keyPem: string; certPem: string }>
}

const caYears = 10
const backdateSeconds = 300
const maxSeconds = 90 * 24 * 3600
const maxDnsNames = 16
const dnsName = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/

/** Makes a new authority: P-256 key, ten years unless `seconds` says otherwise, may sign end certificates only (path length 0). */
export async function createAuthority(deps: {
  trustDomain: string
  clock?: () => Date
  seconds?: number
}): Promise<Authority> {
  const clock = deps.clock ?? (() => new Date())
  const uri = trustDomainUri(deps.trustDomain)
  const keys = await generateKeys()
  const notBefore = new Date(clock().getTime() - backdateSeconds * 1000)
  const notAfter = new Date(notBefore)
  if (deps.seconds === undefined) notAfter.setUTCFullYear(notAfter.getUTCFullYear() + caYears)
  else notAfter.setTime(clock().getTime() + deps.seconds * 1000)
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ O: ['Hansa'] }, { CN: [`Hansa authority ${randomBytes(4).toString('hex')}`] }],
    notBefore,
    notAfter,
    keys,
    signingAlgorithm: signatureAlgorithm,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      new SubjectAlternativeNameExtension([{ type: 'url', value: uri }]),
    ],
  })
  return authority({ ...deps, clock, keyPem: await privateKeyPem(keys), certPem: `${certificate.toString('pem')}\n` })
}

/** Loads an authority that `toPem` wrote. Throws AuthorityInvalid when key, certificate and trust domain do not belong together. */
export async function loadAuthority(deps: {
  keyPem: string
  certPem: string
  trustDomain: string
  clock?: () => Date
  /** What to do when it cannot be used; default: as for the Secret hansa-ca. */
  hint?: string
}): Promise<Authority> {
  const clock = deps.clock ?? (() => new Date())
  const problem = problemOf(deps, clock())
  if (problem !== undefined) {
    throw new HansaError('AuthorityInvalid', `the stored certificate authority cannot be used: ${problem}`, {
      retry: 'never',
      hint:
        deps.hint ??
        'restore the Secret hansa-ca from a backup, or delete it and restart the operator and then every Hansa pod',
    })
  }
  return authority({ ...deps, clock })
}

function problemOf(deps: { keyPem: string; certPem: string; trustDomain: string }, now: Date): string | undefined {
  try {
    const certificate = new NodeCertificate(deps.certPem)
    if (!certificate.checkPrivateKey(createPrivateKey(deps.keyPem))) return 'its key and certificate do not match'
    if (!certificate.ca) return 'its certificate may not sign others'
    if (Date.parse(certificate.validTo) <= now.getTime()) return `it expired at ${certificate.validTo}`
    const uri = certificateUri(certificate.raw)
    const wanted = trustDomainUri(deps.trustDomain)
    return uri === wanted ? undefined : `it is for ${uri ?? 'no trust domain'}, not ${wanted}`
  } catch {
    return 'it does not decode' // the decoder's own words could quote the key
  }
}

async function authority(deps: {
  keyPem: string
  certPem: string
  trustDomain: string
  clock: () => Date
}): Promise<Authority> {
  const { keyPem, certPem, trustDomain, clock } = deps
  const der = createPrivateKey(keyPem).export({ type: 'pkcs8', format: 'der' })
  const signingKey = await webcrypto.subtle.importKey('pkcs8', Uint8Array.from(der), keyAlgorithm, false, ['sign'])
  const certificate = new X509Certificate(certPem)
  const prefix = `${trustDomainUri(trustDomain)}/`

  async function issue(request: IssueRequest): Promise<Issued> {
    const { uri, dnsNames = [], seconds } = request
    if (!uri.startsWith(prefix)) throw refused(`URI ${uri} is not in the trust domain ${trustDomain}`)
    if (!(seconds > 0 && seconds <= maxSeconds)) throw refused(`lifetime must be above 0 and at most ${maxSeconds} s`)
    if (dnsNames.length > maxDnsNames) throw refused(`at most ${maxDnsNames} names may be asked for`)
    const publicKey = await verifiedRequestKey(request.csrPem)
    const now = clock().getTime()
    const notAfter = new Date(Math.min(now + seconds * 1000, certificate.notAfter.getTime()))
    const issued = await X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject: [{ O: ['Hansa'] }],
      issuer: certificate.subjectName,
      notBefore: new Date(now - backdateSeconds * 1000),
      notAfter,
      publicKey,
      signingKey,
      signingAlgorithm: signatureAlgorithm,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
        new SubjectAlternativeNameExtension([{ type: 'url', value: uri }, ...dnsNames.map(hostName)]),
        await AuthorityKeyIdentifierExtension.create(certificate.publicKey),
        await SubjectKeyIdentifierExtension.create(publicKey),
      ],
    })
    return { certPem: `${issued.toString('pem')}\n`, notAfter }
  }

  return { trustDomain, caPem: certPem, issue, toPem: async () => ({ keyPem, certPem }) }
}

function hostName(name: string): JsonGeneralName {
  if (isIP(name) !== 0) return { type: 'ip', value: name }
  if (!dnsName.test(name)) throw refused(`${JSON.stringify(name.slice(0, 100))} is not a DNS name`)
  return { type: 'dns', value: name }
}

// 128 random bits behind a byte that keeps the DER integer positive (RFC 5280, section 4.1.2.2).
function serialNumber(): string {
  return `01${randomBytes(16).toString('hex')}`
}

function refused(message: string): HansaError {
  return new HansaError('CertificateRequestInvalid', message, { retry: 'never' })
}
