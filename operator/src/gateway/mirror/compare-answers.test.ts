import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Answer } from './answer-copy.ts'
import { compareAnswers } from './compare-answers.ts'

type Tensor = { name?: string; datatype?: string; shape?: number[]; data?: unknown }

function json(...outputs: Tensor[]): Answer {
  const named = outputs.map((output) => ({ name: 'y', datatype: 'FP32', shape: [1], ...output }))
  return answer(JSON.stringify({ model_name: 'm', model_version: '1', id: `${Math.random()}`, outputs: named }))
}

function binary(datatype: string, shape: number[], ...tensors: Buffer[]): Answer {
  const outputs = tensors.map((data, i) => ({
    name: `y${i}`,
    datatype,
    shape,
    parameters: { binary_data_size: data.length },
  }))
  const head = Buffer.from(JSON.stringify({ outputs }))
  return answer(Buffer.concat([head, ...tensors]), { 'inference-header-content-length': `${head.length}` })
}

function answer(body: string | Buffer, headers: Record<string, string> = {}): Answer {
  return { status: 200, headers, body: Buffer.from(body) }
}

const bytes = (view: ArrayBufferView) => Buffer.from(view.buffer, view.byteOffset, view.byteLength)

test.each([
  [1, 1.0009, 0.001, 'same'],
  [1, 1.0011, 0.001, 'different'],
  [0, 0.0009, 0.001, 'same'],
  [-2000, -2001.9, 0.001, 'same'],
  [-2000, -2002.1, 0.001, 'different'],
  [5, 5, 0, 'same'],
  [5, 5.0000001, 0, 'different'],
])('%d and %d at tolerance %d: %s', (a, b, tolerance, verdict) => {
  expect(compareAnswers(json({ data: [a] }), json({ data: [b] }), tolerance)).toBe(verdict)
  const [x, y] = [a, b].map((value) => binary('FP64', [1], bytes(new Float64Array([value]))))
  if (x !== undefined && y !== undefined) expect(compareAnswers(x, y, tolerance)).toBe(verdict)
})

test('NaN agrees with NaN alone, an infinity with itself alone', () => {
  const of = (value: number) => binary('FP32', [1], bytes(new Float32Array([value])))
  const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3]
  for (const a of values) {
    for (const b of values) expect(compareAnswers(of(a), of(b), 0.5)).toBe(Object.is(a, b) ? 'same' : 'different')
  }
})

test.each([
  ['another name', json({ data: [1] }), json({ name: 'z', data: [1] })],
  ['another datatype', json({ data: [1] }), json({ datatype: 'INT32', data: [1] })],
  ['another shape', json({ shape: [2, 1], data: [1, 2] }), json({ shape: [1, 2], data: [1, 2] })],
  ['one output more', json({ data: [1] }), json({ data: [1] }, { name: 'z', data: [1] })],
  ['another string', json({ datatype: 'BYTES', data: ['a'] }), json({ datatype: 'BYTES', data: ['b'] })],
  ['another boolean', json({ datatype: 'BOOL', data: [true] }), json({ datatype: 'BOOL', data: [false] })],
  ['fewer values', json({ shape: [2], data: [1, 2] }), json({ shape: [2], data: [1] })],
  ['no JSON', json({ data: [1] }), answer('<html>')],
  ['objects', json({ data: [{ a: 1 }] }), json({ data: [{ a: 1 }] })],
])('%s is a difference', (_what, ours, theirs) => {
  expect(compareAnswers(ours, theirs, 1000)).toBe('different')
})

test.each([
  ['no outputs', answer('{}')],
  ['no JSON', answer('<html>')],
  ['a header that is not a number', answer('{"outputs":[]}', { 'inference-header-content-length': '1e1' })],
  ['a header beyond the end', answer('{"outputs":[]}', { 'inference-header-content-length': '999' })],
  ['compressed', answer('{"outputs":[]}', { 'content-encoding': 'gzip' })],
  ['the same output twice', json({ data: [1] }, { data: [1] })],
])('an answer of ours with %s proves nothing', (_what, ours) => {
  expect(compareAnswers(ours, json({ data: [1] }), 0.1)).toBe('incomparable')
})

test('nested and flat JSON, and binary of the same values, agree', () => {
  const flat = json({ name: 'y0', shape: [2, 2], data: [1, 2, 3, 4] })
  const nested = json({
    name: 'y0',
    shape: [2, 2],
    data: [
      [1, 2],
      [3, 4],
    ],
  })
  const packed = binary('FP32', [2, 2], bytes(new Float32Array([1, 2, 3, 4])))
  expect(compareAnswers(flat, nested, 0)).toBe('same')
  expect(compareAnswers(flat, packed, 0)).toBe('same')
})

test('every datatype is read from binary tensors', () => {
  const cases: [string, ArrayBufferView, ArrayBufferView][] = [
    ['BOOL', new Uint8Array([1, 0]), new Uint8Array([1, 1])],
    ['UINT8', new Uint8Array([250, 0]), new Uint8Array([250, 1])],
    ['INT8', new Int8Array([-5, 0]), new Int8Array([-5, 1])],
    ['UINT16', new Uint16Array([5, 0]), new Uint16Array([5, 1])],
    ['INT16', new Int16Array([5, 0]), new Int16Array([5, 1])],
    ['UINT32', new Uint32Array([5, 0]), new Uint32Array([5, 1])],
    ['INT32', new Int32Array([5, 0]), new Int32Array([5, 1])],
    ['UINT64', new BigUint64Array([5n, 0n]), new BigUint64Array([5n, 1n])],
    ['INT64', new BigInt64Array([5n, 0n]), new BigInt64Array([5n, 1n])],
    ['FP16', new Uint16Array([0x3c00, 0xfc00]), new Uint16Array([0x3c00, 0x7c00])],
    ['BF16', new Uint16Array([0x3f80, 0x4000]), new Uint16Array([0x3f80, 0x4080])],
    ['FP32', new Float32Array([1, 2]), new Float32Array([1, 3])],
    ['FP64', new Float64Array([1, 2]), new Float64Array([1, 3])],
    ['BYTES', new Uint8Array([1, 0, 0, 0, 200]), new Uint8Array([1, 0, 0, 0, 201])],
  ]
  for (const [datatype, a, b] of cases) {
    const shape = [datatype === 'BYTES' ? 1 : 2]
    const ours = binary(datatype, shape, bytes(a), bytes(a))
    expect(compareAnswers(ours, binary(datatype, shape, bytes(a), bytes(a)), 0.1), datatype).toBe('same')
    expect(compareAnswers(ours, binary(datatype, shape, bytes(a), bytes(b)), 0.1), datatype).toBe('different')
  }
  const halves = binary('FP16', [3], bytes(new Uint16Array([0x0001, 0x3555, 0x7bff])))
  const same = json({ name: 'y0', datatype: 'FP16', shape: [3], data: [2 ** -24, 0.333251953125, 65_504] })
  expect(compareAnswers(halves, same, 0)).toBe('same')
})

test('whatever bytes a worker sends, comparing ends with a verdict', () => {
  const ours = json({ data: [1] })
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(220), (noise, length) => {
      const theirs = answer(Buffer.from(noise), { 'inference-header-content-length': `${length}` })
      expect(compareAnswers(ours, theirs, 0.1)).toBe('different')
      expect(compareAnswers(theirs, ours, 0.1)).toBe('incomparable')
    }),
  )
  fc.assert(
    fc.property(fc.jsonValue(), (outputs) => {
      const theirs = answer(JSON.stringify({ outputs }))
      expect(['same', 'different', 'incomparable']).toContain(compareAnswers(theirs, theirs, 0.1))
    }),
  )
})
