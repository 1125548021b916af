import { X509Certificate } from 'node:crypto'
import { extensionOf, inside } from './extension.ts'

const tags = { dns: 0x82, uri: 0x86 } as const
const subjectAltName = [0x55, 0x1d, 0x11] // 2.5.29.17

/**
 * The URI subject alternative name of a DER certificate, if it has exactly one. Read from the encoding and not from OpenSSL's
 * text form, whose escaping has been abused to smuggle names (CVE-2021-44532); by hand, since a general decoder takes longer
 * than the handshake.
 */
export function certificateUri(der: Uint8Array): string | undefined {
  try {
    const [uri, ...more] = altNames(der, tags.uri)
    return more.length === 0 ? uri : undefined
  } catch {
    return undefined // does not decode: no identity
  }
}

/** DNS names that a PEM certificate carries. */
export function certificateDnsNames(pem: string): string[] {
  return altNames(new X509Certificate(pem).raw, tags.dns)
}

function altNames(der: Uint8Array, tag: number): string[] {
  const names = extensionOf(der, subjectAltName)
  if (names === undefined) return []
  return inside(der, names)
    .filter((name) => name.tag === tag)
    .map((name) => ascii(der.subarray(name.start, name.end)))
}

/** Names are IA5String; of ours all characters are printable. */
function ascii(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('latin1')
  if (!/^[\x21-\x7e]+$/.test(text)) throw new RangeError('a name has characters that no name has')
  return text
}
