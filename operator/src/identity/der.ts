/** One element of DER: its tag and where its content lies. */
export type Element = { tag: number; start: number; end: number }

/**
 * The elements of DER between two offsets (X.690): definite lengths in their shortest form, single-byte tags. Throws for anything
 * else.
 */
export function elements(bytes: Uint8Array, from: number, to: number): Element[] {
  const found: Element[] = []
  for (let at = from; at < to; ) {
    const next = element(bytes, at, to)
    found.push(next)
    at = next.end
  }
  return found
}

function element(bytes: Uint8Array, at: number, to: number): Element {
  const tag = byte(bytes, at, to)
  if ((tag & 0x1f) === 0x1f) throw new RangeError('DER: tag of more than one byte')
  const first = byte(bytes, at + 1, to)
  if (first < 0x80) return bounded(tag, at + 2, first, to)
  const count = first & 0x7f
  if (count === 0 || count > 3) throw new RangeError('DER: length is indefinite or too long')
  let length = 0
  for (let i = 0; i < count; i++) length = length * 256 + byte(bytes, at + 2 + i, to)
  if (length < 0x80 || length < 256 ** (count - 1)) throw new RangeError('DER: length is not in its shortest form')
  return bounded(tag, at + 2 + count, length, to)
}

function bounded(tag: number, start: number, length: number, to: number): Element {
  if (start + length > to) throw new RangeError('DER: element is longer than what holds it')
  return { tag, start, end: start + length }
}

function byte(bytes: Uint8Array, at: number, to: number): number {
  const value = at < to ? bytes[at] : undefined
  if (value === undefined) throw new RangeError('DER: ends early')
  return value
}
