import { type Datatype, elementBytes } from '../datatype.ts'
import { NumberReader } from './json-number.ts'
import type { Range } from './json-skeleton.ts'

const quote = 0x22
const backslash = 0x5c

const integerBounds = {
  INT8: [-128, 127],
  INT16: [-32_768, 32_767],
  INT32: [-2_147_483_648, 2_147_483_647],
  UINT8: [0, 255],
  UINT16: [0, 65_535],
  UINT32: [0, 4_294_967_295],
} as const
const maxInt64 = 2n ** 63n - 1n
const maxUint64 = 2n ** 64n - 1n

/** `put` stores the element that starts at `at` and returns the offset behind it, or a word on what is wrong. */
export type ElementStore = { put(at: number, index: number): number | string; bytes(): Uint8Array }

/** Where a tensor's elements go: one wire value each, refused when out of the datatype's range. */
export function elementStore(buffer: Buffer, range: Range, datatype: Datatype, elements: number): ElementStore {
  const reader = new NumberReader(buffer)
  const memory = new ArrayBuffer(elements * (elementBytes[datatype] ?? 0))
  const bytes = () => new Uint8Array(memory)
  switch (datatype) {
    case 'BYTES':
      return bytesStore(buffer, range, elements)
    case 'BOOL': {
      const out = new Uint8Array(memory)
      const put = (at: number, index: number) => {
        const isTrue = buffer[at] === 0x74
        const word = isTrue ? 'true' : 'false'
        if (buffer.toString('latin1', at, at + word.length) !== word) return 'is not true or false'
        out[index] = isTrue ? 1 : 0
        return at + word.length
      }
      return { put, bytes }
    }
    case 'FP64': {
      const out = new Float64Array(memory)
      return numbers(reader, out, bytes, () => reader.double())
    }
    case 'FP32': {
      const out = new Float32Array(memory)
      return numbers(reader, out, bytes, () => reader.single())
    }
    case 'FP16': {
      const out = new Float16Array(memory)
      return numbers(reader, out, bytes, () => Math.f16round(reader.double()))
    }
    case 'INT64':
      return bigIntegers(reader, new BigInt64Array(memory), bytes, -maxInt64 - 1n, maxInt64)
    case 'UINT64':
      return bigIntegers(reader, new BigUint64Array(memory), bytes, 0n, maxUint64)
    case 'INT8':
      return integers(reader, new Int8Array(memory), bytes, integerBounds[datatype])
    case 'INT16':
      return integers(reader, new Int16Array(memory), bytes, integerBounds[datatype])
    case 'INT32':
      return integers(reader, new Int32Array(memory), bytes, integerBounds[datatype])
    case 'UINT8':
      return integers(reader, new Uint8Array(memory), bytes, integerBounds[datatype])
    case 'UINT16':
      return integers(reader, new Uint16Array(memory), bytes, integerBounds[datatype])
    case 'UINT32':
      return integers(reader, new Uint32Array(memory), bytes, integerBounds[datatype])
    default:
      return datatype satisfies never
  }
}

type Writable = { [index: number]: number }

function numbers(reader: NumberReader, out: Writable, bytes: () => Uint8Array, value: () => number): ElementStore {
  const put = (at: number, index: number) => {
    if (!reader.read(at)) return 'is not a JSON number'
    const number = value()
    if (!Number.isFinite(number)) return 'is out of the range of the datatype'
    out[index] = number
    return reader.end
  }
  return { put, bytes }
}

function integers(
  reader: NumberReader,
  out: Writable,
  bytes: () => Uint8Array,
  [least, most]: readonly [number, number],
): ElementStore {
  const put = (at: number, index: number) => {
    if (!reader.read(at)) return 'is not a JSON number'
    const value = reader.integer()
    if (value === undefined) return 'is not an integer'
    if (value < least || value > most) return 'is out of the range of the datatype'
    out[index] = value
    return reader.end
  }
  return { put, bytes }
}

function bigIntegers(
  reader: NumberReader,
  out: { [index: number]: bigint },
  bytes: () => Uint8Array,
  least: bigint,
  most: bigint,
): ElementStore {
  const put = (at: number, index: number) => {
    if (!reader.read(at)) return 'is not a JSON number'
    const value = reader.bigInteger()
    if (value === undefined) return 'is not an integer of 64 bits in plain digits'
    if (value < least || value > most) return 'is out of the range of the datatype'
    out[index] = value
    return reader.end
  }
  return { put, bytes }
}

function bytesStore(buffer: Buffer, range: Range, elements: number): ElementStore {
  // A string never grows when its escapes are resolved; each needs its length in front.
  const out = Buffer.allocUnsafeSlow(range.end - range.start + 4 * elements)
  let written = 0
  const put = (at: number) => {
    if (buffer[at] !== quote) return 'is not a JSON string'
    let end = at + 1
    let escaped = false
    for (;;) {
      const byte = buffer[end]
      if (byte === undefined || byte < 0x20) return 'is not a valid JSON string'
      if (byte === quote) break
      if (byte === backslash) {
        escaped = true
        end++
      }
      end++
    }
    let length = end - at - 1
    if (escaped) {
      const text = unescaped(buffer.toString('utf8', at, end + 1))
      if (text === undefined) return 'is not a valid JSON string'
      if (text.includes('\0')) return 'holds a NUL character, which the runtime cannot carry'
      length = out.write(text, written + 4, 'utf8')
    } else {
      buffer.copy(out, written + 4, at + 1, end)
    }
    out.writeUInt32LE(length, written)
    written += 4 + length
    return end + 1
  }
  return { put, bytes: () => out.subarray(0, written) }
}

function unescaped(literal: string): string | undefined {
  try {
    const text: unknown = JSON.parse(literal)
    return typeof text === 'string' && text.isWellFormed() ? text : undefined
  } catch {
    return undefined // Not a JSON string: the caller says so with the element's place.
  }
}
