import { expect, test } from 'vitest'
import type { Datatype } from '../datatype.ts'
import type { Tensor } from '../tensor.ts'
import { poolRows, shortened } from './pool.ts'

function tensor(shape: number[], values: readonly number[], datatype: Datatype = 'FP32'): Tensor {
  const data = datatype === 'FP16' ? Uint16Array.from(values) : Float32Array.from(values)
  const bytes = Buffer.from(data.buffer)
  // In two pieces and off its alignment, as bytes come from a pipe.
  const moved = Buffer.concat([Buffer.alloc(1), bytes]).subarray(1)
  const pieces = [moved.subarray(0, 3), moved.subarray(3)]
  return { name: 'y', datatype, shape, byteLength: bytes.byteLength, pieces }
}

const raw = { pooling: 'Mean', normalize: false } as const
const state = tensor([2, 2, 2], [1, 2, 3, 4, 5, 6, 700, 800])

test('the mean is over the tokens alone, not over padding', () => {
  expect(poolRows(state, [2, 1], 2, raw).map((vector) => [...vector])).toEqual([
    [2, 3],
    [5, 6],
  ])
})

test('CLS takes the first position, None the row', () => {
  expect(poolRows(state, [2, 1], 2, { ...raw, pooling: 'CLS' }).map((vector) => [...vector])).toEqual([
    [1, 2],
    [5, 6],
  ])
  expect([...(poolRows(tensor([1, 2], [7, 8]), [5], 16, { ...raw, pooling: 'None' })[0] ?? [])]).toEqual([7, 8])
})

test('normalized vectors have length 1; one of zeros stays', () => {
  const output = tensor([2, 1, 2], [3, 4, 0, 0])
  expect(poolRows(output, [1, 1], 1, { ...raw, normalize: true }).map((vector) => [...vector])).toEqual([
    [Math.fround(0.6), Math.fround(0.8)],
    [0, 0],
  ])
})

test('half precision is read as such: 1, -2, the least and the largest number', () => {
  const output = tensor([1, 1, 4], [0x3c00, 0xc000, 0x0001, 0x7bff], 'FP16')
  expect([...(poolRows(output, [1], 1, raw)[0] ?? [])]).toEqual([1, -2, 2 ** -24, 65504])
})

test.each([
  ['fewer rows', [1, 2, 2]],
  ['another length', [2, 1, 2]],
  ['another rank', [2, 2]],
  ['no dimensions', [2, 2, 0]],
])('an output of %s than asked for is the failure of the model', (_what, shape) => {
  const size = shape.reduce((product, one) => product * one, 1)
  expect(() => poolRows(tensor(shape, new Array(size).fill(1)), [2, 1], 2, raw)).toThrow('another shape')
})

test.each([Number.NaN, Number.POSITIVE_INFINITY])('%s is the failure of the model, normalized or not', (value) => {
  for (const normalize of [true, false]) {
    expect(() => poolRows(tensor([1, 1, 1], [value]), [1], 1, { ...raw, normalize })).toThrow('not finite')
  }
})

test('a shortened vector has length 1 again where vectors are normalized', () => {
  const vector = Float32Array.of(0.6, 0.64, 0.48)
  expect([...shortened(vector, 1, true)]).toEqual([1])
  expect([...shortened(vector, 2, false)]).toEqual([...vector.slice(0, 2)])
})
