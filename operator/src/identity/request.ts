import { generateKeyPair, sign } from 'node:crypto'
import { promisify } from 'node:util'

const generate = promisify(generateKeyPair)

// INTEGER 0 and an empty Name: version and subject of a request (RFC 2986, section 4.1).
const versionAndNobody = Buffer.from('0201003000', 'hex')
// [0] IMPLICIT SET OF nothing: the attributes.
const noAttributes = Buffer.from('a000', 'hex')
// AlgorithmIdentifier of ecdsa-with-SHA256, 1.2.840.10045.4.3.2 (RFC 5758, section 3.2).
const ecdsaWithSha256 = Buffer.from('300a06082a8648ce3d040302', 'hex')
const sequence = 0x30
const bits = 0x03

/**
 * A fresh private key (P-256) and a certificate request for it (PKCS #10). The request names nobody: the authority decides the
 * name. Written by hand, since the library for certificates takes longer to load than all else that a worker does to wake.
 */
export async function certificateRequest(): Promise<{ keyPem: string; csrPem: string }> {
  const { privateKey, publicKey } = await generate('ec', { namedCurve: 'P-256' })
  const key = publicKey.export({ type: 'spki', format: 'der' })
  const info = element(sequence, versionAndNobody, key, noAttributes)
  const signature = element(bits, Buffer.from([0]), sign('sha256', info, privateKey))
  const request = element(sequence, info, ecdsaWithSha256, signature)
  const lines = request.toString('base64').match(/.{1,64}/g) ?? []
  return {
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    csrPem: `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join('\n')}\n-----END CERTIFICATE REQUEST-----\n`,
  }
}

/** One element of DER (X.690) of at most 64 KiB. */
function element(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...head]), content])
}
