import fc from 'fast-check'
import { expect, test } from 'vitest'
import { expand } from './expand.ts'

const variables = new Map([
  ['A', '1'],
  ['B', '$(A)'],
])

test.each([
  ['$(A)', '1'],
  ['x$(A)y$(A)', 'x1y1'],
  ['$$(A)', '$(A)'],
  ['$$$(A)', '$1'],
  ['$(NONE)', '$(NONE)'],
  ['$(B)', '$(A)'],
  ['$A $[A] $(A', '$A $[A] $(A'],
])('%s becomes %s', (text, expected) => {
  expect(expand(text, variables)).toBe(expected)
})

test('a text whose dollars are doubled comes out as it was', () => {
  fc.assert(fc.property(fc.string(), (text) => expand(text.replaceAll('$', '$$$$'), variables) === text))
})
