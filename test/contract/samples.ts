import type { Values } from './case.ts'

/** What the specification says of a datatype: its typed field, its size, values at its borders, and what is no value of it. */
export type Sample = {
  readonly datatype: Datatype
  /** Field of InferTensorContents; undefined where there is none. */
  readonly field: string | undefined
  readonly elementBytes: number | undefined
  /** Four values. */
  readonly values: Values
  /** The same in the order of the wire: little-endian, BYTES behind 4-byte lengths. */
  readonly bytes: Buffer
  /** JSON elements that are no value of the datatype. */
  readonly wrongJson: readonly string[]
  /** Values that the typed field can carry and the datatype cannot. */
  readonly wrongTyped: readonly number[]
}

export type Datatype =
  | 'BOOL'
  | 'INT8'
  | 'INT16'
  | 'INT32'
  | 'INT64'
  | 'UINT8'
  | 'UINT16'
  | 'UINT32'
  | 'UINT64'
  | 'FP16'
  | 'FP32'
  | 'FP64'
  | 'BYTES'

const bytesOf = (array: ArrayBufferView) => Buffer.from(array.buffer, array.byteOffset, array.byteLength)

/** BYTES elements, each behind its 4-byte little-endian length. */
export function framed(...elements: readonly string[]): Buffer {
  return Buffer.concat(
    elements.flatMap((element) => {
      const bytes = Buffer.from(element)
      return [bytesOf(Uint32Array.of(bytes.byteLength)), bytes]
    }),
  )
}

const words = ['', 'grüß "Gott"', '😀', 'line\nbreak']
const floats = { wrongJson: ['"1"', 'true', 'null'], wrongTyped: [] }

export const samples: readonly Sample[] = [
  {
    datatype: 'BOOL',
    field: 'bool_contents',
    elementBytes: 1,
    values: [true, false, false, true],
    bytes: Buffer.from([1, 0, 0, 1]),
    wrongJson: ['1', '"true"', 'null'],
    wrongTyped: [],
  },
  {
    datatype: 'INT8',
    field: 'int_contents',
    elementBytes: 1,
    values: [-128, -1, 0, 127],
    bytes: bytesOf(Int8Array.of(-128, -1, 0, 127)),
    wrongJson: ['128', '-129', '1.5', '"1"'],
    wrongTyped: [128, -129],
  },
  {
    datatype: 'INT16',
    field: 'int_contents',
    elementBytes: 2,
    values: [-32_768, -1, 0, 32_767],
    bytes: bytesOf(Int16Array.of(-32_768, -1, 0, 32_767)),
    wrongJson: ['32768', '-32769', '1.5', 'true'],
    wrongTyped: [32_768, -32_769],
  },
  {
    datatype: 'INT32',
    field: 'int_contents',
    elementBytes: 4,
    values: [-2_147_483_648, -1, 0, 2_147_483_647],
    bytes: bytesOf(Int32Array.of(-2_147_483_648, -1, 0, 2_147_483_647)),
    wrongJson: ['2147483648', '-2147483649', '0.5'],
    wrongTyped: [],
  },
  {
    datatype: 'INT64',
    field: 'int64_contents',
    elementBytes: 8,
    values: [-9_223_372_036_854_775_808n, -1, 9_007_199_254_740_993n, 9_223_372_036_854_775_807n],
    bytes: bytesOf(
      BigInt64Array.of(-9_223_372_036_854_775_808n, -1n, 9_007_199_254_740_993n, 9_223_372_036_854_775_807n),
    ),
    wrongJson: ['9223372036854775808', '-9223372036854775809', '0.5'],
    wrongTyped: [],
  },
  {
    datatype: 'UINT8',
    field: 'uint_contents',
    elementBytes: 1,
    values: [0, 1, 128, 255],
    bytes: Buffer.from([0, 1, 128, 255]),
    wrongJson: ['256', '-1', '0.5'],
    wrongTyped: [256],
  },
  {
    datatype: 'UINT16',
    field: 'uint_contents',
    elementBytes: 2,
    values: [0, 1, 32_768, 65_535],
    bytes: bytesOf(Uint16Array.of(0, 1, 32_768, 65_535)),
    wrongJson: ['65536', '-1', '0.5'],
    wrongTyped: [65_536],
  },
  {
    datatype: 'UINT32',
    field: 'uint_contents',
    elementBytes: 4,
    values: [0, 1, 2_147_483_648, 4_294_967_295],
    bytes: bytesOf(Uint32Array.of(0, 1, 2_147_483_648, 4_294_967_295)),
    wrongJson: ['4294967296', '-1', '0.5'],
    wrongTyped: [],
  },
  {
    datatype: 'UINT64',
    field: 'uint64_contents',
    elementBytes: 8,
    values: [0, 1, 9_007_199_254_740_993n, 18_446_744_073_709_551_615n],
    bytes: bytesOf(BigUint64Array.of(0n, 1n, 9_007_199_254_740_993n, 18_446_744_073_709_551_615n)),
    wrongJson: ['18446744073709551616', '-1', '0.5'],
    wrongTyped: [],
  },
  {
    datatype: 'FP16',
    field: undefined,
    elementBytes: 2,
    values: [1.5, -65_504, 0.25, 2 ** -24],
    bytes: bytesOf(Uint16Array.of(0x3e00, 0xfbff, 0x3400, 0x0001)),
    ...floats,
    wrongJson: ['65520', '"1"', 'true'],
  },
  {
    datatype: 'FP32',
    field: 'fp32_contents',
    elementBytes: 4,
    values: [1.5, -3.4028234663852886e38, 0.25, 2 ** -149],
    bytes: bytesOf(Float32Array.of(1.5, -3.4028234663852886e38, 0.25, 2 ** -149)),
    ...floats,
    wrongJson: ['3.5e38', '"1"', 'true'],
  },
  {
    datatype: 'FP64',
    field: 'fp64_contents',
    elementBytes: 8,
    values: [1.5, -Number.MAX_VALUE, 0.1, 2 ** -1074],
    bytes: bytesOf(Float64Array.of(1.5, -Number.MAX_VALUE, 0.1, 2 ** -1074)),
    ...floats,
    wrongJson: ['1e309', '"1"', 'true'],
  },
  {
    datatype: 'BYTES',
    field: 'bytes_contents',
    elementBytes: undefined,
    values: words,
    bytes: framed(...words),
    wrongJson: ['1', 'true', 'null'],
    wrongTyped: [],
  },
]

/** Values as a JSON array; every digit of 64-bit integers stays. */
export function jsonArray(values: Values): string {
  return `[${values.map((value) => (typeof value === 'bigint' ? String(value) : JSON.stringify(value))).join(',')}]`
}

/** Values as protobuf messages hold them in these tests: 64-bit integers as decimal strings, BYTES as buffers. */
export function messageValues(sample: Sample): unknown[] {
  return sample.values.map((value) => {
    if (sample.datatype === 'BYTES') return Buffer.from(String(value))
    return sample.datatype === 'INT64' || sample.datatype === 'UINT64' ? String(value) : value
  })
}
