import fc from 'fast-check'
import { expect, test } from 'vitest'
import { askDueMs, grantLease, isOver, mayRun, recoverLease, stepLease, takeRenewal } from './executor.ts'
import type { Now } from './timing.ts'

const ttlSeconds = 30
const at = (seconds: number, wallSeconds = seconds): Now => ({
  monotonicMs: seconds * 1_000,
  wallMs: Date.UTC(2026, 0, 1) + wallSeconds * 1_000,
})
const granted = (workload: 'Serve' | 'Train', now = at(0)) =>
  grantLease({ workload, epoch: 7, ttlSeconds, nonce: 'n1', now })

test('a Serve lease runs from its grant until its time is over', () => {
  const { lease, memory, ask } = granted('Serve')
  expect(lease).toEqual({
    epoch: 7,
    ttlSeconds,
    grantedTime: '2026-01-01T00:00:00.000Z',
    expiresTime: '2026-01-01T00:00:30.000Z',
    renewals: 0,
  })
  expect(ask).toBeUndefined()
  expect(mayRun('Serve', memory, at(29.9))).toBe(true)
  expect(mayRun('Serve', memory, at(30))).toBe(false)
})

test('a Train lease asks with its grant and runs only once it is renewed', () => {
  const { lease, memory, ask } = granted('Train')
  expect(ask).toBe('n1')
  expect(mayRun('Train', memory, at(1))).toBe(false)
  const taken = takeRenewal({ workload: 'Train', lease, memory, renewal: { epoch: 7, nonce: 'n1' }, now: at(1) })
  expect(taken.ok && mayRun('Train', taken.change.memory, at(1))).toBe(true)
})

test('a renewal counts from when it was asked for, however late it comes', () => {
  const first = granted('Serve')
  const asked = stepLease({
    workload: 'Serve',
    ...first,
    cancelled: false,
    renewal: undefined,
    nonce: 'n2',
    now: at(10),
  })
  expect(asked.ask).toBe('n2')
  expect(asked.lease?.nonce).toBe('n2')
  const taken = takeRenewal({
    workload: 'Serve',
    lease: asked.lease ?? first.lease,
    memory: asked.memory,
    renewal: { epoch: 7, nonce: 'n2' },
    now: at(29),
  })
  expect(taken.ok && taken.change.memory.deadlineMs).toBe(40_000)
  expect(taken.ok && taken.change.lease).toEqual({
    ...first.lease,
    renewals: 1,
    expiresTime: '2026-01-01T00:00:40.000Z',
  })
})

test.each([
  ['another epoch', { epoch: 8, nonce: 'n1' }, 1, 'OtherEpoch'],
  ['a nonce that was not asked with', { epoch: 7, nonce: 'n0' }, 1, 'OtherNonce'],
  ['an answer to Train after a sixth of its time', { epoch: 7, nonce: 'n1' }, 5, 'Late'],
  ['an answer after the end', { epoch: 7, nonce: 'n1' }, 30, 'Over'],
])('a renewal of %s is not taken', (_, renewal, seconds, reason) => {
  const { lease, memory } = granted('Train')
  expect(takeRenewal({ workload: 'Train', lease, memory, renewal, now: at(seconds) })).toEqual({ ok: false, reason })
})

test('the same renewal twice changes nothing', () => {
  const { lease, memory } = granted('Train')
  const renewal = { epoch: 7, nonce: 'n1' }
  const input = { workload: 'Train' as const, cancelled: false, renewal, nonce: 'n2' }
  const once = stepLease({ ...input, lease, memory, now: at(1) })
  expect(once.lease?.renewals).toBe(1)
  const twice = stepLease({ ...input, lease: once.lease ?? lease, memory: once.memory, now: at(2) })
  expect(twice.lease).toBeUndefined()
  expect(twice.memory).toEqual(once.memory)
})

test('a renewal is asked for after a third of the time, and afresh each sixth', () => {
  const { lease, memory } = granted('Serve')
  expect(askDueMs(lease, memory, at(4))).toBe(6_000)
  const asks = [{ nonce: 'n2', sentMs: 10_000 }]
  expect(askDueMs(lease, { ...memory, asks }, at(10))).toBe(5_000)
  expect(askDueMs(lease, { ...memory, asks }, at(15))).toBe(0)
})

test('after a restart a lease asks at once; Serve goes on to its recorded end, Train rests', () => {
  const { lease } = granted('Serve')
  // Another process: its monotonic clock began anew.
  const memory = recoverLease(lease, at(1_000, 12))
  expect(memory.deadlineMs).toBe(1_018_000)
  expect(askDueMs(lease, memory, at(1_000, 12))).toBe(0)
  expect(mayRun('Serve', memory, at(1_017))).toBe(true)
  expect(mayRun('Train', memory, at(1_017))).toBe(false)
})

test('after a restart a wall clock that was set back gives at most one TTL', () => {
  const { lease } = granted('Serve')
  expect(recoverLease(lease, at(1_000, -500)).deadlineMs).toBe(1_030_000)
})

test('after a restart a lease whose recorded end has passed is over', () => {
  const { lease } = granted('Serve')
  const now = at(1_000, 31)
  const step = stepLease({
    workload: 'Serve',
    lease,
    memory: undefined,
    cancelled: false,
    renewal: undefined,
    nonce: 'n2',
    now,
  })
  expect(step).toMatchObject({ ended: 'LeaseExpired', mayRun: false })
})

test('a cancel ends a lease before all else', () => {
  const { lease, memory } = granted('Serve')
  const input = { workload: 'Serve' as const, lease, memory, renewal: undefined, nonce: 'n2', now: at(1) }
  expect(stepLease({ ...input, cancelled: true })).toMatchObject({ ended: 'Cancelled', mayRun: false })
})

test('whatever renewals come and when, no lease lasts longer than one TTL after the newest answered ask', () => {
  const event = fc.record({ afterMs: fc.nat({ max: 20_000 }), answers: fc.integer({ min: -1, max: 6 }) })
  fc.assert(
    fc.property(fc.constantFrom('Serve', 'Train'), fc.array(event, { maxLength: 30 }), (workload, events) => {
      let { lease, memory } = granted(workload)
      const sent: { nonce: string; ms: number }[] = workload === 'Train' ? [{ nonce: 'n1', ms: 0 }] : []
      let boundMs = ttlSeconds * 1_000
      let nowMs = 0
      for (const [i, { afterMs, answers }] of events.entries()) {
        nowMs += afterMs
        const answered = sent.at(-1 - answers)
        const renewal = answers >= 0 && answered !== undefined ? { epoch: 7, nonce: answered.nonce } : undefined
        if (renewal !== undefined && answered !== undefined) {
          boundMs = Math.max(boundMs, answered.ms + ttlSeconds * 1_000)
        }
        const nonce = `m${i}`
        const now = { monotonicMs: nowMs, wallMs: nowMs }
        const step = stepLease({ workload, lease, memory, cancelled: false, renewal, nonce, now })
        if (step.ask !== undefined) sent.push({ nonce: step.ask, ms: nowMs })
        lease = step.lease ?? lease
        memory = step.memory
        expect(memory.deadlineMs).toBeLessThanOrEqual(boundMs)
        if (nowMs >= boundMs) expect(step.mayRun).toBe(false)
        if (step.ended === undefined) expect(step.afterMs).toBeGreaterThan(0)
        else {
          expect(isOver(memory, now)).toBe(true)
          return
        }
      }
    }),
  )
})
