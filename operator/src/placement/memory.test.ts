import { expect, test } from 'vitest'
import { createRefusals } from './refusals.ts'
import { createSteadyRoom } from './steady-room.ts'
import { createTroubles } from './troubles.ts'

const failed = (id: string) => [{ id, reasons: ['QuotaExceeded'] }]
const seconds = (count: number) => count * 1000

test('pauses double, the same refusal counts once, and a grant of more forgets all', () => {
  const refusals = createRefusals()
  refusals.note('chat city', failed('a'), 1, 0)
  refusals.note('chat city', failed('a'), 1, seconds(20))
  expect(refusals.at('chat city', seconds(29))).toMatchObject({ atMost: 1, reasons: ['QuotaExceeded'] })
  expect(refusals.at('chat city', seconds(30))).toBeUndefined()
  refusals.note('chat city', failed('b'), 1, seconds(30))
  expect(refusals.at('chat city', seconds(89))).toBeDefined()
  expect(refusals.at('chat city', seconds(90))).toBeUndefined()
  for (let i = 0; i < 20; i++) refusals.note('chat city', failed(`c${i}`), 1, seconds(100))
  expect(refusals.at('chat city', seconds(100 + 3599))).toBeDefined()
  expect(refusals.at('chat city', seconds(100 + 3600))).toBeUndefined()
  refusals.note('chat city', [], 2, seconds(200))
  expect(refusals.at('chat city', seconds(200))).toBeUndefined()
  expect(refusals.size).toBe(0)
})

test('what one service was refused says nothing about another, and goes with it', () => {
  const refusals = createRefusals()
  refusals.note('a/chat city', failed('a'), 0, 0)
  expect(refusals.at('a/other city', 0)).toBeUndefined()
  refusals.forget('a/chat ')
  expect(refusals.size).toBe(0)
})

test('room is steady when it lasted for two minutes', () => {
  const steady = createSteadyRoom()
  expect(steady.least('chat', 4, 0)).toBe(0)
  expect(steady.least('chat', 4, seconds(119))).toBe(0)
  expect(steady.least('chat', 4, seconds(121))).toBe(4)
  expect(steady.least('chat', 2, seconds(130))).toBe(2)
  expect(steady.least('chat', 5, seconds(140))).toBe(2)
  expect(steady.least('chat', 5, seconds(259))).toBe(2)
  expect(steady.least('chat', 5, seconds(261))).toBe(5)
  steady.forget('chat')
  expect(steady.least('chat', 5, seconds(262))).toBe(0)
})

test('a trouble counts once, for an hour', () => {
  const troubles = createTroubles()
  troubles.note('city', 'a', 0)
  troubles.note('city', 'a', seconds(10))
  troubles.note('city', 'b', seconds(10))
  expect([troubles.of('city', seconds(20)), troubles.of('university', 0)]).toEqual([2, 0])
  expect(troubles.of('city', seconds(3605))).toBe(1)
})
