import { expect, test } from 'vitest'
import {
  giveUp,
  leaseState,
  mayReplace,
  observe,
  type RequesterLease,
  type RequesterStatus,
  signRenewal,
  takeAnswer,
  tombstoneExpires,
} from './requester.ts'
import type { Now } from './timing.ts'

const start = Date.UTC(2026, 0, 1)
const at = (seconds: number): Now => ({ monotonicMs: seconds * 1_000, wallMs: start + seconds * 1_000 })
const train = { workload: 'Train' as const, attempt: 2, leaseSeconds: 100 }
const serve = { ...train, workload: 'Serve' as const }
const active: RequesterLease = {
  epoch: 5,
  ttlSeconds: 100,
  signedTime: '2026-01-01T00:00:00.000Z',
  state: 'Active',
}
const offered = { epoch: 5, attempt: 2, ttlSeconds: 100, incarnation: 1 }
const priced = (microsPerGPUHour: number) => ({ ...offered, price: { currency: 'EUR', microsPerGPUHour } })
const answer = { sequence: 3, requestSha256: 'a', decision: 'Granted' as const, refusals: [], lease: offered }

function take(
  status: RequesterStatus,
  change: Partial<Omit<Parameters<typeof takeAnswer>[0], 'status'>> = {},
): ReturnType<typeof takeAnswer> {
  const now = change.now ?? at(500)
  const memory = observe(status, undefined, now)
  return takeAnswer({ work: train, status, memory, answer, requestSha256: 'a', startMs: 0, now, ...change })
}

test('a granted answer makes the lease active and counts as signed now', () => {
  const taken = take({})
  expect(taken).toMatchObject({
    ok: true,
    answer: { decision: 'Granted', sequence: 3 },
    lease: { epoch: 5, ttlSeconds: 100, signedTime: '2026-01-01T00:08:20.000Z', state: 'Active' },
    memory: { signedMs: 500_000 },
  })
})

test.each([
  ['a sequence that is not newer', { answer: { decision: 'Granted', sequence: 3 } }, {}, 'Older'],
  ['another request', {}, { requestSha256: 'b' }, 'OtherRequest'],
  ['another attempt', {}, { answer: { ...answer, lease: { ...offered, attempt: 1 } } }, 'OtherAttempt'],
  ['an older epoch', { lease: { ...active, epoch: 6 } }, {}, 'OlderEpoch'],
  ['work that was given up', { lease: { ...active, state: 'Ended' } }, {}, 'Unwanted'],
  ['more time than was asked for', {}, { answer: { ...answer, lease: { ...offered, ttlSeconds: 101 } } }, 'Malformed'],
  ['a price where only what is free was asked for', {}, { answer: { ...answer, lease: priced(1) } }, 'Malformed'],
  [
    'a higher price than was asked for',
    {},
    { work: { ...train, maxPrice: priced(10).price }, answer: { ...answer, lease: priced(11) } },
    'Malformed',
  ],
  [
    'a price in another currency',
    {},
    {
      work: { ...train, maxPrice: { currency: 'USD', microsPerGPUHour: 10 } },
      answer: { ...answer, lease: priced(1) },
    },
    'Malformed',
  ],
  ['a grant without a lease', {}, { answer: { ...answer, lease: undefined } }, 'Malformed'],
] as const)('an answer of %s is not taken', (_, status, change, reason) => {
  expect(take(status as RequesterStatus, change)).toEqual({ ok: false, reason })
})

test('the price of a lease is kept as it was granted, also when a later answer of the same epoch says another', () => {
  const work = { ...serve, maxPrice: priced(10).price }
  const first = take({}, { work, answer: { ...answer, lease: priced(7) } })
  expect(first).toMatchObject({ ok: true, lease: { epoch: 5, price: { currency: 'EUR', microsPerGPUHour: 7 } } })
  const status = first.ok ? { answer: first.answer, ...(first.lease && { lease: first.lease }) } : {}
  const later = take(status, { work, answer: { ...answer, sequence: 4, lease: priced(9) } })
  expect(later).toMatchObject({ ok: true, lease: { epoch: 5, price: { microsPerGPUHour: 7 } } })
})

test('a grant of Train waits one TTL after our start; a grant of Serve does not', () => {
  expect(take({}, { now: at(100) })).toEqual({ ok: false, reason: 'Deferred', afterMs: 1_000 })
  expect(take({}, { now: at(101) }).ok).toBe(true)
  expect(take({}, { now: at(1), work: serve }).ok).toBe(true)
})

test('a newer epoch of Train waits until the older may not run any more', () => {
  const status = { lease: { ...active, epoch: 4 } }
  const memory = { ...observe(status, undefined, at(0)), signedMs: 450_000 }
  expect(take(status, { memory })).toEqual({ ok: false, reason: 'Deferred', afterMs: 51_000 })
  expect(take(status, { memory, now: at(551) })).toMatchObject({ ok: true, lease: { epoch: 5 } })
})

test('an answer that the lease has ended ends it', () => {
  const ended = { ...answer, sequence: 9, decision: 'Ended' as const }
  expect(take({ lease: active }, { answer: ended })).toMatchObject({ ok: true, lease: { state: 'Ended' } })
})

test('a renewal records when it was signed, and answers an ask once', () => {
  const memory = observe({ lease: active }, undefined, at(0))
  const ask = { epoch: 5, nonce: 'n', sequence: 4 }
  const signed = signRenewal({ status: { lease: active }, memory, ask, now: at(33) })
  expect(signed).toMatchObject({
    ok: true,
    lease: { signedTime: '2026-01-01T00:00:33.000Z', state: 'Active' },
    memory: { signedMs: 33_000, answeredAsk: 4 },
    renewal: { epoch: 5, nonce: 'n' },
  })
  if (!signed.ok) return
  const again = signRenewal({ status: { lease: signed.lease }, memory: signed.memory, ask, now: at(34) })
  expect(again).toEqual({ ok: false, reason: 'Answered' })
})

test.each([
  ['no lease', {}, 1, 'NoLease'],
  ['work that was given up', { lease: { ...active, state: 'Ended' } }, 1, 'Unwanted'],
  ['another epoch', { lease: { ...active, epoch: 6 } }, 1, 'OtherEpoch'],
  ['a lease that is over by our clock', { lease: active }, 101, 'Over'],
] as const)('nothing is signed for %s', (_, status, seconds, reason) => {
  const memory = observe(status, undefined, at(0))
  const ask = { epoch: 5, nonce: 'n', sequence: 4 }
  expect(signRenewal({ status, memory, ask, now: at(seconds) })).toEqual({ ok: false, reason })
})

test('a lease is Uncertain after two thirds of its time without a word, and over after TTL x (1 + drift)', () => {
  const memory = observe({ lease: active }, undefined, at(0))
  expect(leaseState(active, memory, at(66))).toEqual({ state: 'Active', afterMs: 667 })
  expect(leaseState(active, memory, at(67))).toEqual({ state: 'Uncertain', afterMs: 34_000 })
  expect(leaseState(active, memory, at(100.9)).state).toBe('Uncertain')
  expect(leaseState(active, memory, at(101)).state).toBe('Ended')
})

test('a signed time that this process did not write counts as now', () => {
  const memory = observe({ lease: active }, undefined, at(0))
  expect(observe({ lease: active }, memory, at(9))).toBe(memory)
  const other = { lease: { ...active, signedTime: '2026-01-01T00:00:05.000Z' } }
  expect(observe(other, memory, at(9)).signedMs).toBe(9_000)
})

test.each([
  ['never granted: at once', {}, 500, { now: true }],
  ['never granted, but within a TTL of our start: later', {}, 40, { now: false, afterMs: 61_000 }],
  ['granted: after TTL x (1 + drift)', { lease: active }, 590, { now: false, afterMs: 11_000 }],
  ['granted and over', { lease: active }, 601, { now: true }],
  ['the peer said Ended: at once', { lease: active, answer: { decision: 'Ended', sequence: 9 } }, 510, { now: true }],
  [
    'the peer says Refused though it granted: only when it is over',
    { lease: active, answer: { decision: 'Refused', sequence: 9 } },
    590,
    { now: false, afterMs: 11_000 },
  ],
] as const)('Train is placed elsewhere: %s', (_, status, seconds, expected) => {
  const memory = observe(status, undefined, at(500))
  expect(mayReplace({ work: train, status, memory, startMs: 0, now: at(seconds) })).toEqual(expected)
})

test('Serve is placed elsewhere at once, since replicas may overlap', () => {
  const memory = observe({ lease: active }, undefined, at(0))
  const input = { work: serve, status: { lease: active }, memory, startMs: 0, now: at(1) }
  expect(mayReplace(input)).toEqual({ now: true })
})

test('work that was given up stays so, granted or not', () => {
  expect(giveUp({ lease: active }, at(9)).lease).toEqual({ ...active, state: 'Ended' })
  expect(take(giveUp({}, at(9)))).toEqual({ ok: false, reason: 'Unwanted' })
})

test('a tombstone lives as long as anything may run: from now when granted, else from the end of the request', () => {
  const granted = { lease: active, answer: { decision: 'Granted' as const, sequence: 3 } }
  const requestExpiresMs = start + 60_000
  const now = at(10)
  expect(tombstoneExpires({ work: train, status: granted, requestExpiresMs, now })).toBe('2026-01-01T00:01:51.000Z')
  expect(tombstoneExpires({ work: train, status: {}, requestExpiresMs, now })).toBe('2026-01-01T00:02:41.000Z')
})
