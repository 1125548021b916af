import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { InferRequest, Tensor } from '../tensor.ts'
import { batchPlace } from './batch-key.ts'
import { joinRequests } from './join.ts'
import { NotByRows, splitOutputs } from './split.ts'

function tensor(name: string, datatype: 'FP32' | 'BYTES', shape: number[], bytes: Uint8Array, cut: number): Tensor {
  const at = Math.min(cut, bytes.byteLength)
  return { name, datatype, shape, byteLength: bytes.byteLength, pieces: [bytes.subarray(0, at), bytes.subarray(at)] }
}

function words(list: readonly string[]): Uint8Array {
  return Buffer.concat(
    list.flatMap((word) => {
      const length = Buffer.alloc(4)
      length.writeUInt32LE(Buffer.byteLength(word))
      return [length, Buffer.from(word)]
    }),
  )
}

const member = fc.record({
  rows: fc.integer({ min: 1, max: 4 }),
  seed: fc.integer({ min: 0, max: 200 }),
  text: fc.string({ maxLength: 9, unit: 'grapheme' }),
  cut: fc.integer({ min: 0, max: 40 }),
  swap: fc.boolean(),
})

function requestOf({
  rows,
  seed,
  text,
  cut,
  swap,
}: {
  rows: number
  seed: number
  text: string
  cut: number
  swap: boolean
}): InferRequest {
  const numbers = new Uint8Array(rows * 3 * 4).map((_, index) => seed + index)
  const inputs = [
    tensor('numbers', 'FP32', [rows, 3], numbers, cut),
    tensor('words', 'BYTES', [rows, 2], words(Array.from({ length: rows * 2 }, (_, index) => text.slice(index))), cut),
  ]
  return { inputs: swap ? inputs.reverse() : inputs, outputs: ['numbers', 'words'] }
}

const plain = (tensors: readonly Tensor[]) =>
  tensors
    .map(({ pieces, ...rest }) => ({ ...rest, bytes: Buffer.concat(pieces).toString('hex') }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))

test('what is joined and split again is what it was, for numbers and strings in any pieces and order', () => {
  fc.assert(
    fc.property(fc.array(member, { minLength: 1, maxLength: 6 }), (members) => {
      const requests = members.map(requestOf)
      const joined = joinRequests(requests)
      const parts = splitOutputs(
        joined.inputs,
        members.map(({ rows }) => rows),
      )
      expect(parts.map((part) => plain(part.outputs))).toEqual(requests.map((request) => plain(request.inputs)))
    }),
  )
})

test('joining copies nothing', () => {
  const requests = [1, 2].map((seed) => requestOf({ rows: 2, seed, text: 'abc', cut: 5, swap: false }))
  const [numbers] = joinRequests(requests).inputs
  expect(numbers?.pieces.map((piece) => piece.buffer)).toEqual(
    requests.flatMap((request) => request.inputs[0]?.pieces.map((piece) => piece.buffer) ?? []),
  )
})

test('outputs that do not have a row for each row are not cut', () => {
  const sum = tensor('sum', 'FP32', [1], new Uint8Array(4), 0)
  expect(() => splitOutputs([sum], [1, 1])).toThrow(NotByRows)
})

const outputs = new Set(['numbers', 'words'])

test('requests that differ only in rows and order of inputs have one key', () => {
  const a = batchPlace(requestOf({ rows: 1, seed: 1, text: 'a', cut: 0, swap: false }), outputs)
  const b = batchPlace(requestOf({ rows: 3, seed: 2, text: 'b', cut: 4, swap: true }), outputs)
  expect(a?.key).toBe(b?.key)
  expect([a?.rows, b?.rows]).toEqual([1, 3])
})

test.each<[string, (request: InferRequest) => InferRequest]>([
  [
    'another second dimension',
    (request) => ({ ...request, inputs: request.inputs.map((input) => ({ ...input, shape: [1, 9] })) }),
  ],
  [
    'another rank',
    (request) => ({ ...request, inputs: request.inputs.map((input) => ({ ...input, shape: [1, 3, 1] })) }),
  ],
  ['another output', (request) => ({ ...request, outputs: ['words'] })],
  ['another order of outputs', (request) => ({ ...request, outputs: ['words', 'numbers'] })],
])('%s is another key', (_, change) => {
  const request = requestOf({ rows: 1, seed: 1, text: 'a', cut: 0, swap: false })
  expect(batchPlace(change(request), outputs)?.key).not.toBe(batchPlace(request, outputs)?.key)
})

test.each<[string, (request: InferRequest) => InferRequest]>([
  [
    'inputs of different rows',
    ({ inputs: [first, ...rest], ...request }) => ({
      ...request,
      inputs: first === undefined ? rest : [{ ...first, shape: [9, 3] }, ...rest],
    }),
  ],
  ['no rows', (request) => ({ ...request, inputs: request.inputs.map((input) => ({ ...input, shape: [0, 3] })) })],
  ['a scalar', (request) => ({ ...request, inputs: request.inputs.map((input) => ({ ...input, shape: [] })) })],
  ['no inputs', (request) => ({ ...request, inputs: [] })],
  ['an output that is not given by rows', (request) => ({ ...request, outputs: ['sum'] })],
])('%s must run alone', (_, change) => {
  expect(batchPlace(change(requestOf({ rows: 1, seed: 1, text: 'a', cut: 0, swap: false })), outputs)).toBeUndefined()
})
