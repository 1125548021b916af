import fc from 'fast-check'
import { expect, test } from 'vitest'
import { blockSize, largestIncarnation, nextEpoch, nextSequence } from './sequence.ts'

const count = fc.nat({ max: 2 ** 40 })

test('a sequence grows, and begins a new block with each incarnation', () => {
  expect(nextSequence(undefined, {})).toBe(1)
  expect(nextSequence(7, { incarnation: 0 })).toBe(8)
  expect(nextSequence(7, { incarnation: 3 })).toBe(3 * blockSize + 1)
  fc.assert(
    fc.property(count, fc.nat({ max: largestIncarnation }), (last, incarnation) => {
      const next = nextSequence(last, { incarnation })
      expect(next).toBeGreaterThan(last)
      expect(Number.isSafeInteger(next)).toBe(true)
    }),
  )
})

test('an epoch grows, and another incarnation never gives one that an earlier gave', () => {
  fc.assert(
    fc.property(fc.nat({ max: 100 }), fc.nat({ max: 100 }), fc.nat({ max: blockSize }), (a, b, given) => {
      const earlier = nextEpoch({ incarnation: a, epoch: a * blockSize + given })
      const later = nextEpoch({ incarnation: a + b + 1, epoch: 0 })
      if (earlier !== undefined) {
        expect(earlier).toBeGreaterThan(a * blockSize + given)
        expect(later).toBeGreaterThan(earlier)
      }
    }),
  )
})

test('a used-up block gives no epoch', () => {
  expect(nextEpoch({ incarnation: 2, epoch: 3 * blockSize - 2 })).toBe(3 * blockSize - 1)
  expect(nextEpoch({ incarnation: 2, epoch: 3 * blockSize - 1 })).toBeUndefined()
})
