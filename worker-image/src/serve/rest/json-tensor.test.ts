import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Datatype, datatypes } from '../datatype.ts'
import { elementCount, type Tensor } from '../tensor.ts'
import { encodeData } from './encode-data.ts'
import { readTensorData } from './json-tensor.ts'

function read(text: string, datatype: Datatype, shape: readonly number[]): Uint8Array {
  const buffer = Buffer.from(`xx${text}yy`)
  const range = { start: 2, end: buffer.byteLength - 2 }
  return readTensorData(buffer, range, { name: 'x', datatype, shape }, elementCount(shape))
}

const tensor = (datatype: Datatype, bytes: Uint8Array, shape: readonly number[]): Tensor => ({
  name: 'y',
  datatype,
  shape,
  byteLength: bytes.byteLength,
  pieces: [bytes],
})
const written = (datatype: Datatype, bytes: Uint8Array, shape: readonly number[]) =>
  Buffer.concat(encodeData(tensor(datatype, bytes, shape), 1 << 24)).toString()

const finite = { noNaN: true, noDefaultInfinity: true }
/** JSON texts of elements by datatype, as our own writer has them. */
const elements = {
  BOOL: fc.boolean().map(String),
  INT8: fc.integer({ min: -128, max: 127 }).map(String),
  INT16: fc.integer({ min: -32_768, max: 32_767 }).map(String),
  INT32: fc.integer().map(String),
  INT64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  UINT8: fc.integer({ min: 0, max: 255 }).map(String),
  UINT16: fc.integer({ min: 0, max: 65_535 }).map(String),
  UINT32: fc.integer({ min: 0, max: 2 ** 32 - 1 }).map(String),
  UINT64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
  FP16: fc.float({ ...finite, min: -65_504, max: 65_504 }).map((value) => String(Math.f16round(value) + 0)),
  FP32: fc.float(finite).map((value) => String(value + 0)),
  FP64: fc.double(finite).map((value) => String(value + 0)),
  BYTES: fc
    .string({ unit: 'grapheme' })
    .filter((text) => !text.includes('\0'))
    .map((text) => JSON.stringify(text)),
} satisfies Record<Datatype, fc.Arbitrary<string>>

test.each(datatypes)('%s data reads and writes back as the same JSON, flat and nested', (datatype) => {
  const matrix = fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 5 })).chain(([rows, columns]) =>
    fc.array(fc.array(elements[datatype], { minLength: columns, maxLength: columns }), {
      minLength: rows,
      maxLength: rows,
    }),
  )
  fc.assert(
    fc.property(matrix, (rows) => {
      const shape = [rows.length, rows[0]?.length ?? 0]
      const flat = `[${rows.flat().join(',')}]`
      const nested = ` [ ${rows.map((row) => `[${row.join(' ,\n')}]`).join(' ,')} ] `.trim()
      const bytes = read(flat, datatype, shape)
      expect(read(nested, datatype, shape)).toEqual(bytes)
      expect(written(datatype, bytes, shape)).toBe(flat)
    }),
  )
})

test('strings with escapes are read as what they mean', () => {
  const bytes = Buffer.from(read('["a\\"b","\\u00e9\\ud83d\\ude00\\n","é😀"]', 'BYTES', [3]))
  expect(bytes.readUInt32LE(0)).toBe(3)
  expect(bytes.toString('utf8', 4, 7)).toBe('a"b')
  expect(bytes.toString('utf8', 11, 11 + bytes.readUInt32LE(7))).toBe('é😀\n')
})

test.each<[Datatype, number[], string, string]>([
  ['FP32', [2], '[1]', 'fewer elements'],
  ['FP32', [2], '[1,2,3]', 'more elements'],
  ['FP32', [2, 2], '[[1,2],[3]]', 'nested data does not have its shape'],
  ['FP32', [2, 2], '[[1,2,3],[4]]', 'nested data does not have its shape'],
  ['FP32', [2, 2], '[[1,2],3,4]', 'nested data does not have its shape'],
  ['FP32', [2, 2], '[1,[2,3],4]', 'nested data does not have its shape'],
  ['FP32', [4], '[[1,2,3,4]]', 'nested data does not have its shape'],
  ['FP32', [2, 0], '[[]]', 'nested data does not have its shape'],
  ['FP32', [2], '[1,]', 'element 1 is not a JSON number'],
  ['FP32', [2], '[,1]', 'element 0 is not a JSON number'],
  ['FP32', [2], '[1 2]', 'data is not valid JSON'],
  ['FP32', [2], '[1,NaN]', 'element 1 is not a JSON number'],
  ['FP32', [2], '[1,"2"]', 'element 1 is not a JSON number'],
  ['FP32', [2], '[1,null]', 'element 1 is not a JSON number'],
  ['FP32', [1], '[3.5e38]', 'element 0 is out of the range'],
  ['FP16', [1], '[65520]', 'element 0 is out of the range'],
  ['FP64', [1], '[1e309]', 'element 0 is out of the range'],
  ['INT8', [1], '[128]', 'element 0 is out of the range'],
  ['UINT8', [1], '[-1]', 'element 0 is out of the range'],
  ['INT32', [1], '[1.5]', 'element 0 is not an integer'],
  ['INT64', [1], '[9223372036854775808]', 'element 0 is out of the range'],
  ['UINT64', [1], '[18446744073709551616]', 'element 0 is out of the range'],
  ['UINT64', [1], '[-1]', 'element 0 is out of the range'],
  ['BOOL', [1], '[1]', 'element 0 is not true or false'],
  ['BOOL', [1], '[tru]', 'element 0 is not true or false'],
  ['BOOL', [2], '[truefalse]', 'data is not valid JSON'],
  ['BYTES', [1], '[1]', 'element 0 is not a JSON string'],
  ['BYTES', [1], '["\\ud800"]', 'element 0 is not a valid JSON string'],
  ['BYTES', [1], '["\\x"]', 'element 0 is not a valid JSON string'],
  ['BYTES', [1], '["a\nb"]', 'element 0 is not a valid JSON string'],
  ['BYTES', [1], '["\\u0000"]', 'element 0 holds a NUL'],
])('%s of shape %j refuses %s', (datatype, shape, text, message) => {
  expect(() => read(text, datatype, shape)).toThrow(message)
})

test('a shape far larger than the body reserves nothing', () => {
  expect(() => read('[1,2]', 'FP64', [1 << 30])).toThrow('fewer elements')
})

test.each(['FP16', 'FP32', 'FP64'] as const)('%s with NaN or Infinity is refused as JSON with a hint', (datatype) => {
  const types = { FP16: Float16Array, FP32: Float32Array, FP64: Float64Array }
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    const bytes = new Uint8Array(types[datatype].of(1, value).buffer)
    expect(() => written(datatype, bytes, [2])).toThrow('binary_data: true')
  }
})

test('text over the limit is given up early', () => {
  const bytes = new Uint8Array(new Float64Array(100_000).fill(Math.PI).buffer)
  expect(() => encodeData(tensor('FP64', bytes, [100_000]), 200_000)).toThrow('limits.responseBytes')
})

test('data in odd pieces is written as if it were one', () => {
  const whole = new Uint8Array(Float64Array.of(1, 2.5, -3).buffer)
  const shifted = new Uint8Array(25).subarray(1)
  shifted.set(whole)
  const pieces = [shifted.subarray(0, 3), shifted.subarray(3, 20), shifted.subarray(20)]
  const odd: Tensor = { name: 'y', datatype: 'FP64', shape: [3], byteLength: 24, pieces }
  expect(Buffer.concat(encodeData(odd, 1000)).toString()).toBe('[1,2.5,-3]')
})
