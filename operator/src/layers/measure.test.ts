import fc from 'fast-check'
import { expect, test } from 'vitest'
import { herfindahl, measure, ownersToLeave } from './measure.ts'

const known = (...amounts: number[]) => amounts.map((amount) => ({ least: amount, most: amount }))

test.each([
  ['nothing', [], { owners: 0, share: 0, herfindahl: 0, toStop: 0 }],
  ['one owner with all', [4], { owners: 1, share: 1000, herfindahl: 10_000, toStop: 1 }],
  ['two alike', [2, 2], { owners: 2, share: 500, herfindahl: 5000, toStop: 2 }],
  ['a share that is no whole number is rounded up', [1, 1, 1], { owners: 3, share: 334, herfindahl: 3333, toStop: 3 }],
  ['a large one and two small ones', [6, 3, 1], { owners: 3, share: 600, herfindahl: 4600, toStop: 3 }],
] as const)('%s', (_, amounts, { owners, share, herfindahl: index, toStop }) => {
  expect(measure(known(...amounts), 1)).toEqual({
    owners: { least: owners, most: owners },
    largestSharePermille: { least: share, most: share },
    herfindahl: index,
    ownersToStop: { least: toStop, most: toStop },
  })
})

test('the largest owners are lost first, and what is short already takes no loss', () => {
  expect(ownersToLeave([6, 3, 1], 10)).toBe(1)
  expect(ownersToLeave([6, 3, 1], 4)).toBe(2)
  expect(ownersToLeave([1, 3, 6], 2)).toBe(2)
  expect(ownersToLeave([6, 3, 1], 11)).toBe(0)
})

test('a peer that is not heard of makes figures a range', () => {
  expect(
    measure(
      [
        { least: 2, most: 2 },
        { least: 0, most: 6 },
      ],
      1,
    ),
  ).toEqual({
    owners: { least: 1, most: 2 },
    largestSharePermille: { least: 500, most: 1000 },
    herfindahl: 6250,
    ownersToStop: { least: 1, most: 2 },
  })
})

const amounts = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 8 })

test('no choice of fewer owners leaves less than is needed', () => {
  fc.assert(
    fc.property(amounts, fc.integer({ min: 1, max: 20 }), (given, need) => {
      const total = given.reduce((sum, each) => sum + each, 0)
      let fewest = Number.POSITIVE_INFINITY
      for (let chosen = 0; chosen < 2 ** given.length; chosen += 1) {
        const lost = given.filter((_, index) => (chosen >> index) % 2 === 1)
        const left = total - lost.reduce((sum, each) => sum + each, 0)
        if (left < need) fewest = Math.min(fewest, lost.length)
      }
      expect(ownersToLeave(given, need)).toBe(fewest)
    }),
  )
})

test('whatever the unknown amounts are, the figures lie within the ranges', () => {
  const holding = fc
    .tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 9 }))
    .map((three) => three.toSorted((a, b) => a - b))
  fc.assert(
    fc.property(fc.array(holding, { maxLength: 6 }), fc.integer({ min: 1, max: 12 }), (given, need) => {
      const range = measure(
        given.map(([least = 0, , most = 0]) => ({ least, most })),
        need,
      )
      const real = measure(known(...given.map(([, is = 0]) => is)), need)
      for (const figure of ['owners', 'largestSharePermille', 'ownersToStop'] as const) {
        // Where really nothing is there, no share can be told.
        if (figure === 'largestSharePermille' && real.owners.most === 0) continue
        expect(real[figure].least).toBeGreaterThanOrEqual(range[figure].least)
        expect(real[figure].most).toBeLessThanOrEqual(range[figure].most)
      }
    }),
  )
})

test('the Herfindahl index lies between that of equal parts and that of one owner', () => {
  fc.assert(
    fc.property(amounts, (given) => {
      const owners = given.filter((each) => each > 0).length
      if (owners === 0) return
      expect(herfindahl(given)).toBeGreaterThanOrEqual(Math.floor(10_000 / owners))
      expect(herfindahl(given)).toBeLessThanOrEqual(10_000)
    }),
  )
})
