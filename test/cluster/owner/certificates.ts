import { createHash, generateKeyPair, type KeyObject, randomBytes, sign } from 'node:crypto'
import { promisify } from 'node:util'
import { der } from './der.ts'

export interface KeyAndCertificate {
  readonly certPem: string
  readonly keyPem: string
}

export interface CertificateRequest {
  readonly commonName: string
  /** Kubernetes reads these as groups. */
  readonly organizations?: readonly string[]
  readonly dnsNames?: readonly string[]
  /** IPv4. */
  readonly ipAddresses?: readonly string[]
}

export interface CertificateAuthority extends KeyAndCertificate {
  /** Issues a P-256 certificate, good for servers and clients, valid for ten days. */
  issue(request: CertificateRequest): Promise<KeyAndCertificate>
}

interface KeyPair {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

const generate = promisify(generateKeyPair)
const validMilliseconds = 10 * 24 * 60 * 60 * 1_000
const clockSkewMilliseconds = 60 * 60 * 1_000

/** Makes a new certificate authority with a key of its own. */
export async function createAuthority(commonName: string): Promise<CertificateAuthority> {
  const keys = await newKeys()
  const name = distinguishedName({ commonName })
  const certPem = certificate(name, name, keys.publicKey, keys.privateKey, [
    extension('2.5.29.19', der.sequence(der.boolean(true)), true), // basicConstraints: CA
    extension('2.5.29.15', der.bits(Buffer.from([0b1000_0110]), 1), true), // keyUsage: sign, certificates, CRLs
    extension('2.5.29.14', der.octets(keyIdentifier(keys.publicKey))),
  ])
  return {
    certPem,
    keyPem: privatePem(keys.privateKey),
    async issue(request) {
      const subject = await newKeys()
      return {
        certPem: certificate(distinguishedName(request), name, subject.publicKey, keys.privateKey, [
          extension('2.5.29.19', der.sequence(), true), // basicConstraints: no CA
          extension('2.5.29.15', der.bits(Buffer.from([0b1000_0000]), 7), true), // keyUsage: sign
          extension('2.5.29.37', der.sequence(der.oid('1.3.6.1.5.5.7.3.1'), der.oid('1.3.6.1.5.5.7.3.2'))),
          extension('2.5.29.35', der.sequence(der.implicit(0, keyIdentifier(keys.publicKey)))),
          ...alternativeNames(request),
        ]),
        keyPem: privatePem(subject.privateKey),
      }
    },
  }
}

/** Makes an RSA key pair for signing service account tokens: RS256 is what every verifier knows. */
export async function createSigningKey(): Promise<{ privatePem: string; publicPem: string }> {
  const { privateKey, publicKey } = await generate('rsa', { modulusLength: 2_048 })
  return {
    privatePem: privateKey.export({ type: 'pkcs1', format: 'pem' }).toString(),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  }
}

function newKeys(): Promise<KeyPair> {
  return generate('ec', { namedCurve: 'P-256' })
}

/** RFC 5280, section 4.1. */
function certificate(
  subject: Uint8Array,
  issuer: Uint8Array,
  publicKey: KeyObject,
  signer: KeyObject,
  extensions: readonly Uint8Array[],
): string {
  const now = Date.now()
  const serial = randomBytes(16)
  serial.writeUInt8((serial.readUInt8(0) & 0x7f) | 0x40, 0) // positive, and no leading zero byte
  const algorithm = der.sequence(der.oid('1.2.840.10045.4.3.2')) // ecdsa-with-SHA256
  const body = der.sequence(
    der.explicit(0, der.integer(Buffer.from([2]))), // version 3
    der.integer(serial),
    algorithm,
    issuer,
    der.sequence(der.time(new Date(now - clockSkewMilliseconds)), der.time(new Date(now + validMilliseconds))),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    der.explicit(3, der.sequence(...extensions)),
  )
  const bytes = der.sequence(body, algorithm, der.bits(sign('sha256', body, signer)))
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

function distinguishedName({ commonName, organizations = [] }: CertificateRequest): Uint8Array {
  const attribute = (oid: string, value: string) => der.set(der.sequence(der.oid(oid), der.utf8(value)))
  return der.sequence(...organizations.map((name) => attribute('2.5.4.10', name)), attribute('2.5.4.3', commonName))
}

function extension(oid: string, value: Uint8Array, critical = false): Uint8Array {
  return der.sequence(der.oid(oid), ...(critical ? [der.boolean(true)] : []), der.octets(value))
}

function alternativeNames({ dnsNames = [], ipAddresses = [] }: CertificateRequest): Uint8Array[] {
  const names = [
    ...dnsNames.map((name) => der.implicit(2, Buffer.from(name, 'latin1'))),
    ...ipAddresses.map((address) => der.implicit(7, Buffer.from(address.split('.').map(Number)))),
  ]
  return names.length === 0 ? [] : [extension('2.5.29.17', der.sequence(...names))]
}

function keyIdentifier(key: KeyObject): Uint8Array {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
    .subarray(0, 20)
}

function privatePem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}
