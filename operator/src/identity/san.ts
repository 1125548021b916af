import { X509Certificate } from 'node:crypto'
import { type Element, elements } from './der.ts'

const tags = { sequence: 0x30, octets: 0x04, oid: 0x06, extensions: 0xa3, dns: 0x82, uri: 0x86 } as const
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
  const [certificate, ...rest] = elements(der, 0, der.length)
  if (certificate?.tag !== tags.sequence || rest.length > 0) throw new RangeError('not one certificate')
  const [body] = inside(der, certificate)
  if (body?.tag !== tags.sequence) throw new RangeError('no certificate body')
  const wrappers = inside(der, body).filter((element) => element.tag === tags.extensions)
  const found = wrappers
    .flatMap((wrapper) => inside(der, wrapper))
    .flatMap((list) => inside(der, list))
    .map((extension) => inside(der, extension))
    .filter(([oid]) => oid?.tag === tags.oid && isOid(der, oid))
  const [extension] = found
  if (extension === undefined) return []
  if (found.length > 1) throw new RangeError('more than one list of names')
  const value = extension.at(-1)
  if (value?.tag !== tags.octets) throw new RangeError('the list of names is no octet string')
  const [names, ...more] = inside(der, value)
  if (names?.tag !== tags.sequence || more.length > 0) throw new RangeError('the list of names is no sequence')
  return inside(der, names)
    .filter((name) => name.tag === tag)
    .map((name) => ascii(der.subarray(name.start, name.end)))
}

function inside(der: Uint8Array, { start, end }: Element): Element[] {
  return elements(der, start, end)
}

function isOid(der: Uint8Array, { start, end }: Element): boolean {
  return end - start === subjectAltName.length && subjectAltName.every((byte, i) => der[start + i] === byte)
}

/** Names are IA5String; of ours all characters are printable. */
function ascii(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('latin1')
  if (!/^[\x21-\x7e]+$/.test(text)) throw new RangeError('a name has characters that no name has')
  return text
}
