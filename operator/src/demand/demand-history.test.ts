import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type DemandReport, latencyBoundsMs, type ServiceReport } from '../gateway/demand/demand-report.ts'
import { createDemandHistory } from './demand-history.ts'

const key = 'default/chat'

/** Counts of one gateway at a moment; every answered request is of one revision and takes 1 ms. */
function service(arrivals: number, inFlightSeconds: number, inFlight = 0, held = 0): ServiceReport {
  const latencyCounts = [arrivals, ...latencyBoundsMs.map(() => 0)]
  const revision = { revision: 'aaaaaaaa', requests: arrivals, failures: 0, latencyCounts, mirrored: 0, disagreed: 0 }
  return { namespace: 'default', service: 'chat', inFlight, held, arrivals, inFlightSeconds, revisions: [revision] }
}

function report(instance: string, elapsedSeconds: number, ...services: ServiceReport[]): DemandReport {
  return { instance, elapsedSeconds, services }
}

test('a constant load gives its own mean, whatever the window', () => {
  const history = createDemandHistory(0)
  for (let at = 1; at <= 600; at++) history.report('a', report('1', at, service(at * 2, at * 3, 3)), at)
  for (const seconds of [1, 5, 60, 300]) {
    const window = history.window(key, seconds, 600)
    expect(window?.seconds).toBe(seconds)
    expect(window?.meanInFlight).toBeCloseTo(3)
    expect(Math.abs((window?.arrivals ?? 0) - seconds * 2)).toBeLessThanOrEqual(20)
  }
  expect(history.now(key)).toEqual({ inFlight: 3, held: 0 })
  expect(history.quietSeconds(key, 600)).toBe(0)
})

test('an operator that starts beside old gateways knows only what it saw itself', () => {
  const history = createDemandHistory(1000)
  history.report('a', report('1', 500_000, service(9_000_000, 9_000_000)), 1001)
  expect(history.window(key, 60, 1001)).toMatchObject({ seconds: 0, arrivals: 0, meanInFlight: 0 })
  expect(history.knownSeconds(1001)).toBe(0)
  history.report('a', report('1', 500_010, service(9_000_005, 9_000_020)), 1011)
  expect(history.window(key, 60, 1011)).toMatchObject({ seconds: 10, arrivals: 5, meanInFlight: 2 })
  expect(history.knownSeconds(1011)).toBe(10)
})

test('a gateway that starts anew begins at zero and takes nothing back', () => {
  const history = createDemandHistory(0)
  history.report('a', report('1', 1), 1)
  history.report('a', report('1', 10, service(100, 50)), 10)
  history.report('a', report('2', 2, service(4, 1)), 14)
  const window = history.window(key, 100, 14)
  expect(window?.arrivals).toBe(104)
  expect(window?.revisions.get('aaaaaaaa')?.requests).toBe(104)
  expect(window?.revisions.get('aaaaaaaa')?.latencyCounts[0]).toBe(104)
  expect(window?.seconds).toBe(14)
  expect(history.knownSeconds(14)).toBe(14)
})

test('a gateway that went in silence takes what is known with it', () => {
  const history = createDemandHistory(0)
  history.report('a', report('1', 1), 1)
  history.report('b', report('9', 1), 1)
  history.report('a', report('1', 60), 60)
  history.forget('b', 60)
  expect(history.knownSeconds(70)).toBe(10)
  history.forget('a', 62)
  expect(history.knownSeconds(70)).toBe(10)
})

test('what a silent gateway reported last still counts', () => {
  const history = createDemandHistory(0)
  history.report('a', report('1', 1), 1)
  history.report('a', report('1', 11, service(10, 40, 4)), 11)
  expect(history.window(key, 10, 500)?.meanInFlight).toBeCloseTo(4)
  history.forget('a', 500)
  expect(history.window(key, 10, 500)?.meanInFlight).toBe(0)
  expect(history.now(key)).toEqual({ inFlight: 0, held: 0 })
})

test('a long silence of a gateway that comes back makes no peak', () => {
  const history = createDemandHistory(0)
  history.report('a', report('1', 1, service(1, 3, 3)), 1)
  history.report('a', report('1', 601, service(601, 1803, 3)), 601)
  expect(history.window(key, 5, 601)?.meanInFlight).toBeCloseTo(3)
})

test('quiet begins with the last request that was seen', () => {
  const history = createDemandHistory(0)
  expect(history.quietSeconds(key, 5)).toBe(Number.POSITIVE_INFINITY)
  history.report('a', report('1', 1, service(1, 0, 1)), 1)
  history.report('a', report('1', 2, service(1, 0.7)), 2)
  for (let at = 3; at <= 9; at++) history.report('a', report('1', at, service(1, 0.7)), at)
  expect(history.quietSeconds(key, 9)).toBe(7)
  // Nobody knows what the four seconds since the last report held.
  expect(history.quietSeconds(key, 13)).toBe(7)
  expect([...history.busy()]).toEqual([])
})

type Step = { gateway: 'a' | 'b'; pause: number; requests: number; restart: boolean }

const steps = fc.array(
  fc.record({
    gateway: fc.constantFrom('a' as const, 'b' as const),
    pause: fc.integer({ min: 5, max: 40 }).map((tenths) => tenths / 10),
    requests: fc.nat(20),
    restart: fc.nat(9).map((one) => one === 0),
  }),
  { minLength: 1, maxLength: 400 },
)

/** Keeps every increment, each with the times between which it came. */
function naive(list: readonly Step[]) {
  const increments: { gateway: string; from: number; to: number; requests: number }[] = []
  const reports: { gateway: string; instance: string; at: number; elapsed: number; total: number }[] = []
  const gateways = new Map<string, { instance: number; bornAt: number; total: number; at: number }>()
  let now = 0
  for (const { gateway, pause, requests, restart } of list) {
    now += pause
    const before = gateways.get(gateway)
    const state =
      before === undefined || restart
        ? { instance: (before?.instance ?? 0) + 1, bornAt: now - pause / 2, total: 0, at: now - pause / 2 }
        : before
    increments.push({ gateway, from: state.at, to: now, requests })
    state.total += requests
    state.at = now
    gateways.set(gateway, state)
    const instance = `${gateway}${state.instance}`
    reports.push({ gateway, instance, at: now, elapsed: now - state.bornAt, total: state.total })
  }
  return { increments, reports, now, gateways }
}

test('windows agree with a model that keeps everything', () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 50 }), (list, seconds) => {
      const { increments, reports, now, gateways } = naive(list)
      const history = createDemandHistory(0)
      for (const { gateway, instance, at, elapsed, total } of reports) {
        history.report(gateway, report(instance, elapsed, service(total, total)), at)
      }
      let mean = 0
      let least = 0
      let most = 0
      for (const { gateway, from, to, requests } of increments) {
        const state = gateways.get(gateway)
        const isLive = state !== undefined && from >= state.bornAt
        const end = isLive ? state.at : now
        const start = end - Math.min(seconds, end)
        const inside = Math.max(0, to - Math.max(from, start))
        mean += (requests * (inside / (to - from))) / Math.min(seconds, end)
        if (from >= start) least += requests
        if (to > start - 1) most += requests
      }
      const window = history.window(key, seconds, now)
      expect(window?.meanInFlight).toBeCloseTo(mean, 6)
      expect(window?.arrivals).toBeGreaterThanOrEqual(least)
      expect(window?.arrivals).toBeLessThanOrEqual(most)
      expect(window?.revisions.get('aaaaaaaa')?.requests).toBe(window?.arrivals)
    }),
    { numRuns: 300 },
  )
})

test('after a day of reports the longest windows are still true', () => {
  const history = createDemandHistory(0)
  for (let at = 1; at <= 86_400; at += 1) history.report('a', report('1', at, service(at, at * 2, 2)), at)
  const hour = history.window(key, 3_600, 86_400)
  expect(hour?.meanInFlight).toBeCloseTo(2)
  expect(Math.abs((hour?.arrivals ?? 0) - 3_600)).toBeLessThanOrEqual(60)
})
