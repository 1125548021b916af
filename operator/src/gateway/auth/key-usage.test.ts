import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KeyUsage } from './key-usage.ts'

function usage(requestsPerMinute: number | undefined, inFlight?: number): KeyUsage {
  const one = new KeyUsage()
  one.limits = { requestsPerMinute, inFlight }
  return one
}

test('a sixth of a minute may come at once, then the rate holds and the refusal says when to come again', () => {
  const key = usage(60)
  for (let i = 0; i < 10; i += 1) expect(key.enter(0)).toBeUndefined()
  expect(key.enter(0)).toEqual({ limit: 'requestsPerMinute', retryAfterSeconds: 1 })
  expect(key.enter(999)).toMatchObject({ limit: 'requestsPerMinute' })
  expect(key.enter(1001)).toBeUndefined()
})

test('even one request a minute gets its one', () => {
  const key = usage(1)
  expect(key.enter(0)).toBeUndefined()
  expect(key.enter(1)).toEqual({ limit: 'requestsPerMinute', retryAfterSeconds: 60 })
  expect(key.enter(60_001)).toBeUndefined()
})

test('requests at once are bounded, and a refused one holds no place', () => {
  const key = usage(undefined, 2)
  expect([key.enter(0), key.enter(0)]).toEqual([undefined, undefined])
  expect(key.enter(0)).toEqual({ limit: 'inFlight', retryAfterSeconds: 1 })
  key.leave()
  expect(key.enter(0)).toBeUndefined()
  expect(key.inFlight).toBe(2)
})

test('whatever the arrivals, no minute lets in more than its rate and one burst', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 600 }),
      fc.array(fc.integer({ min: 0, max: 5000 }), { maxLength: 400 }),
      (rate, gaps) => {
        const key = usage(rate)
        let now = 0
        const letIn: number[] = []
        for (const gap of gaps) {
          now += gap
          if (key.enter(now) === undefined) letIn.push(now)
        }
        for (const start of letIn) {
          const inMinute = letIn.filter((at) => at >= start && at < start + 60_000).length
          expect(inMinute).toBeLessThanOrEqual(rate + Math.max(1, rate / 6) + 1)
        }
      },
    ),
    { numRuns: 100 },
  )
})
