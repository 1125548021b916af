import { expect, test } from 'vitest'
import { highestCommon } from './versions.ts'

test('the highest version that both speak is taken', () => {
  expect(highestCommon([2, 1], [3, 2])).toBe(2)
  expect(highestCommon([2, 1], [1])).toBe(1)
})

test('without a common version there is none', () => {
  expect(highestCommon([2, 1], [4, 3])).toBe(0)
  expect(highestCommon([2, 1], [])).toBe(0)
})
