import { expect, test } from 'vitest'
import { createCompany } from './company.ts'

test('a lone caller expects nobody', () => {
  const company = createCompany(() => 0)
  expect(company.expectsMore(1)).toBe(false)
  for (let run = 0; run < 20; run++) company.started(1)
  expect(company.expectsMore(1)).toBe(false)
})

test('among eight callers the first seven expect more and the eighth does not', () => {
  const company = createCompany(() => 0)
  company.started(8)
  expect([1, 4, 7, 8, 9].map((count) => company.expectsMore(count))).toEqual([true, true, true, false, false])
})

test('who was left alone expects nobody after eight starts', () => {
  const company = createCompany(() => 0)
  company.started(8)
  for (let run = 0; run < 7; run++) company.started(1)
  expect(company.expectsMore(1)).toBe(true)
  company.started(1)
  expect(company.expectsMore(1)).toBe(false)
})

test('waiting is worth no more than a run takes, and nothing when that is less than a millisecond', () => {
  const company = createCompany(() => 0)
  expect(company.worthMilliseconds).toBe(Number.POSITIVE_INFINITY)
  company.ran(16)
  company.ran(8)
  expect(company.worthMilliseconds).toBe(15)
  for (let run = 0; run < 40; run++) company.ran(0.2)
  expect(company.worthMilliseconds).toBe(0)
})

test('what was a second ago is forgotten', () => {
  let now = 0
  const company = createCompany(() => now)
  company.started(8)
  now = 1001
  expect(company.expectsMore(1)).toBe(false)
  company.started(2)
  expect([company.expectsMore(1), company.expectsMore(2)]).toEqual([true, false])
})
