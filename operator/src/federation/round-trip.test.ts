import { expect, test } from 'vitest'
import { roundTripBand, steadyBand } from './round-trip.ts'

test.each([
  [0.2, 1],
  [1, 1],
  [1.1, 2],
  [49, 50],
  [300, 500],
  [4000, 1000],
])('%s ms are in the band up to %s', (milliseconds, band) => {
  expect(roundTripBand(milliseconds)).toBe(band)
  expect(steadyBand(milliseconds, undefined)).toBe(band)
})

test.each([
  [19, 20, 20],
  [23, 20, 20],
  [25, 20, 50],
  [9, 20, 20],
  [7, 20, 10],
  [17, 50, 50],
  [5000, 1000, 1000],
  [300, 1000, 500],
])('%s ms after the band %s is told as %s', (milliseconds, before, told) => {
  expect(steadyBand(milliseconds, before)).toBe(told)
})
