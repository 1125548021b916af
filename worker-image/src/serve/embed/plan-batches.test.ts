import fc from 'fast-check'
import { expect, test } from 'vitest'
import { paddedLength, planBatches } from './plan-batches.ts'

const limits = { mostRows: 32, mostTokens: 8192, maxTokens: 512, fixedLength: undefined, pads: true }

test.each([
  [1, 16],
  [16, 16],
  [17, 32],
  [128, 128],
  [129, 160],
  [300, 320],
  [511, 512],
])('%i tokens are padded to %i', (tokens, padded) => {
  expect(paddedLength(tokens, 512)).toBe(padded)
})

test('a text is never padded beyond maxTokens', () => {
  expect(paddedLength(38, 40)).toBe(40)
})

const lengths = fc.array(fc.integer({ min: 1, max: 512 }), { maxLength: 300 })

test('every text is in exactly one batch, which is long enough for it and within its bounds', () => {
  fc.assert(
    fc.property(
      lengths,
      fc.integer({ min: 1, max: 64 }),
      fc.integer({ min: 1, max: 20_000 }),
      (tokens, mostRows, mostTokens) => {
        const batches = planBatches(tokens, { ...limits, mostRows, mostTokens })
        expect(batches.flatMap(({ texts }) => texts).sort((a, b) => a - b)).toEqual(tokens.map((_, at) => at))
        for (const { texts, length } of batches) {
          expect(texts.length).toBeLessThanOrEqual(mostRows)
          if (texts.length > 1) expect(texts.length * length).toBeLessThanOrEqual(mostTokens)
          for (const text of texts) expect(length).toBeGreaterThanOrEqual(tokens[text] ?? Number.NaN)
          expect(length).toBeLessThanOrEqual(512)
        }
      },
    ),
  )
})

test('without a mask only texts of the same length share a run', () => {
  fc.assert(
    fc.property(lengths, (tokens) => {
      for (const { texts, length } of planBatches(tokens, { ...limits, pads: false })) {
        for (const text of texts) expect(tokens[text]).toBe(length)
      }
    }),
  )
})

test('a graph of fixed length gets that length, shortest and longest text alike', () => {
  expect(planBatches([3, 60, 5], { ...limits, fixedLength: 64 })).toEqual([{ texts: [0, 1, 2], length: 64 }])
})
