import { type Element, elements } from './der.ts'

const tags = { sequence: 0x30, octets: 0x04, oid: 0x06, extensions: 0xa3 } as const

/**
 * The value of an extension of a DER certificate; undefined when it has none of that id (content bytes of the OID). Throws
 * RangeError when it does not decode, or has two.
 */
export function extensionOf(der: Uint8Array, id: readonly number[]): Element | undefined {
  const [certificate, ...rest] = elements(der, 0, der.length)
  if (certificate?.tag !== tags.sequence || rest.length > 0) throw new RangeError('not one certificate')
  const [body] = inside(der, certificate)
  if (body?.tag !== tags.sequence) throw new RangeError('no certificate body')
  const wrappers = inside(der, body).filter((element) => element.tag === tags.extensions)
  const found = wrappers
    .flatMap((wrapper) => inside(der, wrapper))
    .flatMap((list) => inside(der, list))
    .map((extension) => inside(der, extension))
    .filter(([oid]) => oid?.tag === tags.oid && hasContent(der, oid, id))
  const [extension] = found
  if (extension === undefined) return undefined
  if (found.length > 1) throw new RangeError('an extension stands there twice')
  const value = extension.at(-1)
  if (value?.tag !== tags.octets) throw new RangeError('the value of an extension is no octet string')
  const [content, ...more] = inside(der, value)
  if (content?.tag !== tags.sequence || more.length > 0)
    throw new RangeError('the value of an extension is no sequence')
  return content
}

/** The elements within an element. */
export function inside(der: Uint8Array, { start, end }: Element): Element[] {
  return elements(der, start, end)
}

function hasContent(der: Uint8Array, { start, end }: Element, content: readonly number[]): boolean {
  return end - start === content.length && content.every((byte, i) => der[start + i] === byte)
}
