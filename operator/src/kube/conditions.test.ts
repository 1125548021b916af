import { expect, test } from 'vitest'
import { conditionOf, isTrue, type NewCondition, setCondition, setConditions } from './conditions.ts'

const ready: NewCondition = { type: 'Ready', status: 'True', reason: 'Serving', message: '', observedGeneration: 1 }
const noon = new Date('2026-11-22T12:00:00.500Z')
const later = new Date('2026-11-22T13:00:00Z')

test('a new condition gets the time in whole seconds', () => {
  expect(setCondition(undefined, ready, noon)).toEqual([{ ...ready, lastTransitionTime: '2026-11-22T12:00:00Z' }])
})

test('nothing changed: the same list', () => {
  const before = setCondition(undefined, ready, noon)
  expect(setCondition(before, { ...ready }, later)).toBe(before)
  expect(setConditions(before, [ready, ready], later)).toBe(before)
})

test('the time moves with the status only', () => {
  const before = setCondition(undefined, ready, noon)
  const reworded = setCondition(before, { ...ready, message: 'two workers', observedGeneration: 2 }, later)
  expect(reworded).not.toBe(before)
  expect(conditionOf(reworded, 'Ready')?.lastTransitionTime).toBe('2026-11-22T12:00:00Z')
  const failed = setCondition(reworded, { ...ready, status: 'False', reason: 'NoWorkers' }, later)
  expect(conditionOf(failed, 'Ready')?.lastTransitionTime).toBe('2026-11-22T13:00:00Z')
  expect(isTrue(reworded, 'Ready')).toBe(true)
  expect(isTrue(failed, 'Ready')).toBe(false)
})

test('the other conditions keep their place', () => {
  const all = setConditions(undefined, [ready, { ...ready, type: 'Routable' }, { ...ready, type: 'Verified' }], noon)
  const after = setCondition(all, { ...ready, type: 'Routable', status: 'False' }, later)
  expect(after.map(({ type }) => type)).toEqual(['Ready', 'Routable', 'Verified'])
  expect(after[0]).toBe(all[0])
})
