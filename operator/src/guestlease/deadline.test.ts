import { expect, test } from 'vitest'
import { LeaseDeadline } from './deadline.ts'
import { type GuestLease, leaseText, parseLease } from './lease.ts'

const start = Date.parse('2026-11-23T00:00:00Z')

function testClock() {
  const clock = { elapsed: 0, jump: 0, now: () => start + clock.elapsed + clock.jump, monotonic: () => clock.elapsed }
  return clock
}

function lease(changes: Partial<GuestLease> & { expiresIn?: number } = {}): GuestLease {
  const { expiresIn = 3600, ...rest } = changes
  return { epoch: 4, renewals: 0, ttlSeconds: 30, expires: new Date(start + expiresIn * 1000).toISOString(), ...rest }
}

test('without a lease nothing is left', () => {
  const deadline = new LeaseDeadline(testClock())
  deadline.see(undefined)
  expect(deadline.left).toBe(0)
  expect(deadline.epoch).toBeUndefined()
})

test('each renewal counts from the moment that it is first seen, and reading it again adds nothing', () => {
  const clock = testClock()
  const deadline = new LeaseDeadline(clock)
  deadline.see(lease())
  expect(deadline.left).toBe(30_000)
  clock.elapsed = 20_000
  deadline.see(lease())
  expect(deadline.left).toBe(10_000)
  deadline.see(lease({ renewals: 1 }))
  expect(deadline.left).toBe(30_000)
})

test('an older epoch or fewer renewals never extend', () => {
  const clock = testClock()
  const deadline = new LeaseDeadline(clock)
  deadline.see(lease({ renewals: 2 }))
  clock.elapsed = 29_000
  deadline.see(lease({ renewals: 1 }))
  deadline.see(lease({ epoch: 3, renewals: 9 }))
  expect(deadline.left).toBe(1000)
  clock.elapsed = 31_000
  deadline.see(lease({ renewals: 1 }))
  deadline.see(lease({ renewals: 2 }))
  expect(deadline.left).toBe(0)
  deadline.see(lease({ epoch: 5 }))
  expect(deadline.left).toBe(30_000)
  expect(deadline.epoch).toBe(5)
})

test('expires bounds it, and a wall clock that is set back does not', () => {
  const clock = testClock()
  const deadline = new LeaseDeadline(clock)
  deadline.see(lease({ expiresIn: 10 }))
  expect(deadline.left).toBe(10_000)
  clock.elapsed = 4000
  clock.jump = -3_600_000
  deadline.see(lease({ expiresIn: 10 }))
  expect(deadline.left).toBe(6000)
  deadline.see(lease({ expiresIn: 3600, ttlSeconds: 3600 }))
  expect(deadline.left).toBe(6000)
})

test('an earlier end of the same renewal counts: that is how an operator ends it at once', () => {
  const deadline = new LeaseDeadline(testClock())
  deadline.see(lease())
  deadline.see(lease({ expiresIn: 0 }))
  expect(deadline.left).toBe(0)
})

test('what was written is read again; what is none is no lease', () => {
  expect(parseLease(leaseText(lease()))).toEqual(lease())
  const texts = [
    undefined,
    '',
    '{',
    'null',
    '[]',
    JSON.stringify({ ...lease(), epoch: -1 }),
    JSON.stringify({ ...lease(), expires: 'soon' }),
    JSON.stringify({ ...lease(), ttlSeconds: 1e9 }),
    `${leaseText(lease())}${' '.repeat(5000)}`,
  ]
  for (const text of texts) expect(parseLease(text)).toBeUndefined()
})
