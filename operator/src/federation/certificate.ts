import { X509Certificate } from 'node:crypto'
import { extensionOf, inside } from '../identity/extension.ts'
import { certificateUri } from '../identity/san.ts'
import { trustDomainUri } from '../identity/spiffe.ts'
import type { Bundle } from './messages.ts'

/** Processes that show a certificate to other owners. */
export const ownerProcesses = ['link', 'gateway'] as const
export type OwnerProcess = (typeof ownerProcesses)[number]

export type OwnerName = { trustDomain: string; clusterName: string; process: OwnerProcess }

/** URI of a process between owners: `spiffe://<trust domain>/cluster/<cluster name>/link`, or `.../gateway`. */
export function ownerUri({ trustDomain, clusterName, process }: OwnerName): string {
  return `${trustDomainUri(trustDomain)}/cluster/${clusterName}/${process}`
}

/** The parts of such a URI; undefined for any other text. */
export function parseOwnerUri(uri: string): OwnerName | undefined {
  const match = /^spiffe:\/\/([a-z2-7]{52})\/cluster\/([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)\/(link|gateway)$/.exec(uri)
  const [, trustDomain, clusterName, process] = match ?? []
  if (trustDomain === undefined || clusterName === undefined) return undefined
  return { trustDomain, clusterName, process: process === 'link' ? 'link' : 'gateway' }
}

export type CertificateVerdict =
  | { ok: true; process: OwnerProcess }
  | {
      ok: false
      reason: 'Malformed' | 'NotYetValid' | 'Expired' | 'UnknownAuthority' | 'Revoked' | 'WrongName'
      message: string
    }

/** Whether a certificate (DER) is one of the owner's cluster that the bundle is of, at `now` (milliseconds since 1970). */
export function judgeCertificate(leafDer: Uint8Array, bundle: Bundle, now: number): CertificateVerdict {
  const refuse = (reason: Exclude<CertificateVerdict, { ok: true }>['reason'], message: string) =>
    ({ ok: false, reason, message }) as const
  const leaf = parsed(leafDer)
  if (leaf === undefined) return refuse('Malformed', 'the certificate does not decode')
  const name = parseOwnerUri(certificateUri(leafDer) ?? '')
  if (name?.trustDomain !== bundle.trustDomain || name.clusterName !== bundle.clusterName) {
    return refuse('WrongName', `the certificate is not of cluster ${bundle.clusterName} of ${bundle.trustDomain}`)
  }
  if (leaf.ca) return refuse('WrongName', 'an authority does not speak for itself')
  if (leaf.validFromDate.getTime() > now) return refuse('NotYetValid', `the certificate begins at ${leaf.validFrom}`)
  if (leaf.validToDate.getTime() <= now) return refuse('Expired', `the certificate ended at ${leaf.validTo}`)
  const authority = usableAuthorities(bundle, now).find((ca) => leaf.checkIssued(ca) && leaf.verify(ca.publicKey))
  if (authority === undefined) {
    return refuse('UnknownAuthority', 'no authority that the bundle names and that is valid now made the certificate')
  }
  if (bundle.revokedAll) return refuse('Revoked', 'the owner gave the identity up')
  if (bundle.revoked.includes(serialOf(leaf))) return refuse('Revoked', 'the owner revoked the certificate')
  return { ok: true, process: name.process }
}

/** Authorities of a bundle by which a certificate may be known at `now`, in the bundle's order. */
export function usableAuthorities(bundle: Bundle, now: number): X509Certificate[] {
  return bundle.authorities
    .map((pem) => new X509Certificate(pem))
    .filter((ca) => ca.validFromDate.getTime() <= now && ca.validToDate.getTime() > now)
    .filter((ca) => !bundle.revoked.includes(serialOf(ca)))
}

/** Serial number as bundles write it: lower-case hex. */
export function serialOf(certificate: X509Certificate): string {
  return certificate.serialNumber.toLowerCase()
}

const onePem = /^\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*$/

/** Why a PEM text is no authority of that trust domain; undefined when it is one. Its time is not looked at. */
export function problemOfAuthority(pem: string, trustDomain: string): string | undefined {
  if (!onePem.test(pem)) return 'it is not one PEM certificate'
  const certificate = parsed(pem)
  if (certificate === undefined) return 'it does not decode'
  if (!certificate.ca) return 'it may not sign others'
  if (!hasPathLengthZero(certificate.raw)) return 'its path length is not 0'
  if (certificate.publicKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1') return 'its key is not ECDSA on P-256'
  const uri = certificateUri(certificate.raw)
  if (uri !== trustDomainUri(trustDomain)) return `it is for ${uri ?? 'no trust domain'}`
  if (!certificate.verify(certificate.publicKey)) return 'it is not signed by itself'
  return undefined
}

function parsed(certificate: string | Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(certificate)
  } catch {
    return undefined // does not decode: no certificate
  }
}

const basicConstraints = [0x55, 0x1d, 0x13] // 2.5.29.19
const integer = 0x02

function hasPathLengthZero(der: Uint8Array): boolean {
  try {
    const value = extensionOf(der, basicConstraints)
    const length = value === undefined ? undefined : inside(der, value).find(({ tag }) => tag === integer)
    return length !== undefined && length.end - length.start === 1 && der[length.start] === 0
  } catch {
    return false // does not decode: no such limit
  }
}
