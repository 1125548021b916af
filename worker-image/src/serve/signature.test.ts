import { expect, test } from 'vitest'
import { checkInputs, checkOutputs } from './signature.ts'
import type { Signature } from './tensor.ts'

const signature: Signature = {
  inputs: [
    { name: 'ids', datatype: 'INT64', shape: [-1, 3] },
    { name: 'scale', datatype: 'FP32', shape: [] },
  ],
  outputs: [
    { name: 'a', datatype: 'FP32', shape: [-1] },
    { name: 'b', datatype: 'FP32', shape: [-1] },
  ],
}
const ids = { name: 'ids', datatype: 'INT64', shape: [2, 3] }
const scale = { name: 'scale', datatype: 'FP32', shape: [] }

test('inputs that fit pass in the order given', () => {
  expect(checkInputs([scale, ids], signature, 100).map((spec) => spec.name)).toEqual(['scale', 'ids'])
})

test.each([
  [
    'an unknown input',
    [ids, scale, { ...ids, name: 'other' }],
    'input "other" is not an input of the model, which takes "ids", "scale"',
  ],
  ['a missing input', [ids], 'missing input "scale"'],
  ['an input given twice', [ids, ids, scale], 'input "ids" is given twice'],
  ['a wrong datatype', [{ ...ids, datatype: 'INT32' }, scale], 'input "ids": the model takes datatype INT64'],
  ['an unknown datatype', [{ ...ids, datatype: 'FLOAT' }, scale], 'input "ids": the model takes datatype INT64'],
  ['BF16', [{ ...ids, datatype: 'BF16' }, scale], 'BF16 is not supported'],
  ['a wrong rank', [{ ...ids, shape: [6] }, scale], 'input "ids": shape does not fit the model\'s shape [-1,3]'],
  ['a wrong dimension', [{ ...ids, shape: [2, 4] }, scale], 'shape does not fit'],
  ['too many elements', [{ ...ids, shape: [34, 3] }, scale], 'too many elements'],
  ['far too many elements', [{ ...ids, shape: [Number.MAX_SAFE_INTEGER, 3] }, scale], 'too many elements'],
])('%s is refused by name', (_what, inputs, message) => {
  expect(() => checkInputs(inputs, signature, 100)).toThrow(message)
})

test('no outputs asked for means all of them; unknown and doubled ones are refused', () => {
  expect(checkOutputs([], signature)).toEqual(['a', 'b'])
  expect(checkOutputs(['b'], signature)).toEqual(['b'])
  expect(() => checkOutputs(['c'], signature)).toThrow('output "c" is not an output of the model')
  expect(() => checkOutputs(['b', 'b'], signature)).toThrow('output "b" is asked for twice')
})
