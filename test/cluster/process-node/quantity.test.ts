import fc from 'fast-check'
import { expect, test } from 'vitest'
import { inDivisors, parseQuantity } from './quantity.ts'

test.each([
  ['1', 1],
  ['250m', 0.25],
  ['1.5Gi', 1.5 * 2 ** 30],
  ['.5', 0.5],
  ['12e3', 12_000],
  ['100k', 100_000],
  ['2E', 2e18],
  ['-1', -1],
])('%s is %d', (text, expected) => {
  expect(parseQuantity(text)).toBeCloseTo(expected, 9)
})

test.each(['', 'm', '1 Gi', '1Zi', '0x10', '1..2'])('%j is no quantity', (text) => {
  expect(parseQuantity(text)).toBeNaN()
})

test('quantities are shown in divisors, rounded up', () => {
  expect(inDivisors('250m')).toBe('1')
  expect(inDivisors('250m', '1m')).toBe('250')
  expect(inDivisors('1Gi', '1Mi')).toBe('1024')
  expect(inDivisors('100m', '1m')).toBe('100')
})

test('any whole number of milli-units survives', () => {
  fc.assert(fc.property(fc.nat(1_000_000), (n) => inDivisors(`${n}m`, '1m') === String(n)))
})
