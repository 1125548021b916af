import fc from 'fast-check'
import { expect, test } from 'vitest'
import { InferProblem } from '../problem.ts'
import { maxSkeletonBytes, parseSkeleton } from './json-skeleton.ts'

const parse = (text: string) => parseSkeleton(Buffer.from(text))

test('only the data of inputs is cut out', () => {
  const text =
    '{"data":[1],"inputs":[{"name":"x","data":[1,[2]],"z":{"data":[5]}},{"data" : ["]\\"",2]}],"outputs":[{"data":[3]}]}'
  const { value, ranges } = parse(text)
  expect(value).toEqual({
    data: [1],
    inputs: [{ name: 'x', data: 0, z: { data: [5] } }, { data: 1 }],
    outputs: [{ data: [3] }],
  })
  expect(ranges.map(({ start, end }) => text.slice(start, end))).toEqual(['[1,[2]]', '["]\\"",2]'])
})

test('what is cut out and put back is the same JSON', () => {
  const json = fc.record({
    inputs: fc.array(
      fc.record({ name: fc.string(), data: fc.array(fc.oneof(fc.string(), fc.double(), fc.array(fc.string()))) }),
    ),
    id: fc.string(),
  })
  fc.assert(
    fc.property(json, fc.boolean(), (original, spaced) => {
      const text = JSON.stringify(original, undefined, spaced ? 2 : undefined)
      const bytes = Buffer.from(text)
      const { value, ranges } = parseSkeleton(bytes)
      const restored = JSON.parse(JSON.stringify(value), (key, part: unknown) => {
        const range = key === 'data' && typeof part === 'number' ? ranges[part] : undefined
        return range === undefined ? part : JSON.parse(bytes.toString('utf8', range.start, range.end))
      })
      expect(restored).toEqual(JSON.parse(text))
    }),
  )
})

test('no bytes make it throw anything but a refusal', () => {
  const shaped = fc
    .array(fc.constantFrom('{', '}', '[', ']', '"', '\\', ':', ',', '"inputs"', '"data"', '1', ' '), { maxLength: 60 })
    .map((parts) => Buffer.from(parts.join('')))
  fc.assert(
    fc.property(fc.oneof(shaped, fc.uint8Array({ maxLength: 200 })), (bytes) => {
      try {
        parseSkeleton(bytes)
      } catch (error) {
        expect(error).toBeInstanceOf(InferProblem)
      }
    }),
    { numRuns: 2000 },
  )
})

test.each([
  ['{"inputs":[{"data":5}]}', '"data" of an input must be an array'],
  ['{"inputs":[{"data":[1}', 'not valid JSON'],
  ['{"inputs":[{"data":["', 'not valid JSON'],
  [`${'['.repeat(17)}`, 'nested too deeply'],
  [`{"inputs":[{"data":${'['.repeat(65)}`, 'not valid JSON'],
  [`{"inputs":[{"data":${'['.repeat(65)}${']'.repeat(65)}`, 'nested too deeply'],
  [`{"inputs":[${'{"data":[]},'.repeat(257)}`, 'more than 256 inputs'],
  [`{"id":"${'x'.repeat(maxSkeletonBytes)}"}`, 'larger than'],
])('%.60s is refused', (text, message) => {
  expect(() => parse(text)).toThrow(message)
})

test('the refusal does not quote the body', () => {
  expect(() => parse('{"id":"secret" nonsense}')).toThrow(/^the body is not valid JSON$/)
})
