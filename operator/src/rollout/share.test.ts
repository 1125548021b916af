import fc from 'fast-check'
import { expect, test } from 'vitest'
import { binomialTail, exceeds, upperQuantile, upperShare } from './share.ts'

/** The sum of the textbook, term by term. */
function exactTail(hits: number, total: number, share: number): number {
  let sum = 0
  for (let k = hits; k <= total; k++) {
    let term = 1
    for (let i = 0; i < k; i++) term *= ((total - i) / (i + 1)) * share
    sum += term * (1 - share) ** (total - k)
  }
  return sum
}

test('the tail of the binomial distribution is that of the textbook', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 60 }),
      fc.nat(60),
      fc.double({ min: 0.01, max: 0.99, noNaN: true }),
      (n, k, p) => {
        fc.pre(k <= n && k / n >= p)
        expect(binomialTail(k, n, p)).toBeCloseTo(exactTail(k, n, p), 6)
      },
    ),
  )
})

test('a share of a million is no trouble', () => {
  expect(exceeds(10_500, 1_000_000, 0.01)).toBe(true)
  expect(exceeds(10_100, 1_000_000, 0.01)).toBe(false)
})

test('without a limit one hit proves it, without hits nothing does', () => {
  expect(exceeds(1, 20, 0)).toBe(true)
  expect(exceeds(0, 20, 0)).toBe(false)
  expect(exceeds(0, 0, 0)).toBe(false)
  expect(exceeds(20, 20, 1)).toBe(false)
})

test('more hits never prove less', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 500 }),
      fc.nat(499),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (n, k, p) => {
        fc.pre(k < n)
        if (exceeds(k, n, p)) expect(exceeds(k + 1, n, p)).toBe(true)
      },
    ),
  )
})

test('the upper end of a share narrows with what was counted', () => {
  expect(upperShare(0, 0)).toBe(0)
  expect(upperShare(0, 5)).toBeGreaterThan(0.3)
  expect(upperShare(0, 1_000)).toBeLessThan(0.004)
  expect(upperShare(300, 1_000)).toBeCloseTo(0.324, 2)
  expect(upperQuantile(0.9, 10)).toBe(1)
  expect(upperQuantile(0.9, 10_000)).toBeLessThan(0.906)
})
