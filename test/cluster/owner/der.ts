/** Encoders for the few ASN.1 types (X.690, distinguished rules) that a certificate consists of. */
export const der = {
  sequence: (...items: Uint8Array[]) => encode(0x30, Buffer.concat(items)),
  set: (...items: Uint8Array[]) => encode(0x31, Buffer.concat(items)),
  octets: (content: Uint8Array) => encode(0x04, content),
  utf8: (text: string) => encode(0x0c, Buffer.from(text)),
  boolean: (value: boolean) => encode(0x01, Buffer.from([value ? 0xff : 0])),
  /** `content` is a positive number, most significant byte first. */
  integer: (content: Uint8Array) =>
    encode(0x02, (content[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), content]) : content),
  bits: (content: Uint8Array, unusedBits = 0) => encode(0x03, Buffer.concat([Buffer.from([unusedBits]), content])),
  /** A time before 2050, which RFC 5280 wants as UTCTime. */
  time: (date: Date) => encode(0x17, Buffer.from(`${date.toISOString().slice(2, 19).replace(/[-:T]/g, '')}Z`)),
  oid: (dotted: string) => encode(0x06, Buffer.from(oidBytes(dotted))),
  /** A context-specific tag around other values. */
  explicit: (tag: number, ...items: Uint8Array[]) => encode(0xa0 | tag, Buffer.concat(items)),
  /** A context-specific tag in place of a primitive value's own. */
  implicit: (tag: number, content: Uint8Array) => encode(0x80 | tag, content),
}

function encode(tag: number, content: Uint8Array): Buffer {
  const length = content.length
  const header = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  if (length > 0xffff)
    throw new RangeError(`a DER value of ${length} bytes is longer than any in a certificate of ours`)
  return Buffer.concat([Buffer.from([tag, ...header]), content])
}

function oidBytes(dotted: string): number[] {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return [first * 40 + second, ...rest.flatMap(base128)]
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f]
  for (let left = value >> 7; left > 0; left >>= 7) bytes.unshift((left & 0x7f) | 0x80)
  return bytes
}
