import fc from 'fast-check'
import { expect, test } from 'vitest'
import { inferenceServiceSpecSchema } from '../api/inference-service.ts'
import { createRecommendations } from './recommendations.ts'
import { askedWorkers, type Load, type Scaling, wantedWorkers } from './wanted-workers.ts'

const spec = (scaling: Partial<Scaling>): Scaling =>
  inferenceServiceSpecSchema.parse({ modelRef: { name: 'm' }, scaling }).scaling
const load = (given: Partial<Load>): Load => ({
  meanInFlight: 0,
  pending: 0,
  peak: undefined,
  quietSeconds: undefined,
  ...given,
})

const elastic = spec({ minReplicas: 0, maxReplicas: 10, targetInFlight: 4, idleSeconds: 30 })
const floor = spec({ minReplicas: 2, maxReplicas: 6, targetInFlight: 4 })

test.each([
  ['more under way adds workers', floor, 2, load({ meanInFlight: 17 }), 5, 'ScaledUp'],
  ['never more than maxReplicas', floor, 2, load({ meanInFlight: 1000 }), 6, 'ScaledUp'],
  ['a peak that is not known in whole keeps all workers', floor, 6, load({ meanInFlight: 1 }), 6, 'Unchanged'],
  ['a known peak removes workers', floor, 6, load({ meanInFlight: 1, peak: 4 }), 4, 'ScaledDown'],
  ['never fewer than minReplicas', floor, 6, load({ peak: 0 }), 2, 'ScaledDown'],
  ['the mean of now counts beside the peak', floor, 6, load({ meanInFlight: 19, peak: 1 }), 5, 'ScaledDown'],
  ['a lower maxReplicas is obeyed at once', floor, 9, load({}), 6, 'ScaledDown'],
  ['a higher minReplicas is obeyed at once', floor, 1, load({}), 2, 'ScaledUp'],
  ['also from zero', floor, 0, load({}), 2, 'ScaledUp'],
  ['one request wakes', elastic, 0, load({ pending: 1 }), 1, 'Woken'],
  ['a crowd wakes as many as it needs', elastic, 0, load({ pending: 13 }), 4, 'Woken'],
  ['nobody wakes nothing', elastic, 0, load({ meanInFlight: 3 }), 0, 'Unchanged'],
  ['quiet for idleSeconds goes to zero', elastic, 3, load({ quietSeconds: 30, peak: 3 }), 0, 'ScaledToZero'],
  ['not a second sooner', elastic, 3, load({ quietSeconds: 29.9, peak: 3 }), 3, 'Unchanged'],
  ['not with a request under way', elastic, 1, load({ quietSeconds: 99, pending: 1 }), 1, 'Unchanged'],
  ['not while quiet is not known in whole', elastic, 1, load({ peak: 0 }), 1, 'Unchanged'],
  ['with minReplicas 1 never', spec({}), 1, load({ quietSeconds: 1e6, peak: 0 }), 1, 'Unchanged'],
] as const)('%s', (_, scaling, current, given, replicas, reason) => {
  expect(wantedWorkers(scaling, current, given)).toEqual({ replicas, reason })
})

const anyScaling = fc
  .record({ minReplicas: fc.nat(20), more: fc.nat(20), targetInFlight: fc.integer({ min: 1, max: 50 }) })
  .map(({ minReplicas, more, targetInFlight }) =>
    spec({ minReplicas, maxReplicas: Math.max(1, minReplicas + more), targetInFlight, idleSeconds: 10 }),
  )
const anyLoad = fc.record({
  meanInFlight: fc.double({ min: 0, max: 1e4, noNaN: true }),
  pending: fc.nat(1000),
  peak: fc.option(fc.nat(1000), { nil: undefined }),
  quietSeconds: fc.option(fc.nat(100), { nil: undefined }),
})

test('the count stays within its bounds, falls only on what is known, and settles in one step', () => {
  fc.assert(
    fc.property(anyScaling, fc.nat(60), anyLoad, (scaling, current, given) => {
      const { replicas, reason } = wantedWorkers(scaling, current, given)
      expect(replicas).toBeGreaterThanOrEqual(scaling.minReplicas)
      expect(replicas).toBeLessThanOrEqual(scaling.maxReplicas)
      expect(reason === 'Unchanged').toBe(replicas === current)
      const unknown = given.peak === undefined && given.quietSeconds === undefined
      if (unknown) expect(replicas).toBeGreaterThanOrEqual(Math.min(current, scaling.maxReplicas))
      if (current === 0 && given.pending > 0) expect(replicas).toBeGreaterThan(0)
      if (replicas === 0 && current > 0) expect(given.quietSeconds).toBeGreaterThanOrEqual(scaling.idleSeconds)
      if (replicas > 0 && current > 0) expect(wantedWorkers(scaling, replicas, given).replicas).toBe(replicas)
    }),
  )
})

test('the largest recommendation of a window is that of a model that keeps all', () => {
  const times = fc.array(fc.record({ pause: fc.integer({ min: 1, max: 5 }), asked: fc.nat(30), reset: fc.nat(40) }), {
    minLength: 1,
    maxLength: 200,
  })
  fc.assert(
    fc.property(times, fc.integer({ min: 1, max: 60 }), (list, seconds) => {
      const record = createRecommendations()
      let all: { at: number; asked: number }[] = []
      let at = 0
      for (const { pause, asked, reset } of list) {
        at += pause
        if (reset === 0) {
          record.reset()
          all = []
        }
        record.add(asked, at)
        all.push({ at, asked })
        const known = at - (all[0]?.at ?? at) >= seconds
        const largest = Math.max(...all.filter((one) => one.at >= at - seconds).map((one) => one.asked))
        expect(record.peak(seconds, at)).toBe(known ? largest : undefined)
      }
    }),
  )
})

/** A noise that is the same in every run (mulberry32). */
function noise(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

test('over a day of noisy load the count follows without fluttering, and is never too small for long', () => {
  const scaling = spec({ minReplicas: 1, maxReplicas: 40, targetInFlight: 8 })
  const record = createRecommendations()
  const random = noise(7)
  let current = 1
  let changes = 0
  let downs = 0
  let short = 0
  const recent: number[] = []
  for (let at = 0; at < 86_400; at++) {
    // Quiet at night, 200 under way at noon, with noise of a quarter.
    const day = 100 * (1 - Math.cos((2 * Math.PI * at) / 86_400))
    const inFlight = day * (1 + 0.5 * (random() - 0.5))
    recent.push(inFlight)
    if (recent.length > scaling.scaleUpWindowSeconds) recent.shift()
    const meanInFlight = recent.reduce((sum, each) => sum + each, 0) / recent.length
    record.add(askedWorkers(scaling, meanInFlight), at)
    const peak = record.peak(scaling.scaleDownWindowSeconds, at)
    const { replicas } = wantedWorkers(scaling, current, load({ meanInFlight, pending: Math.round(inFlight), peak }))
    if (replicas !== current) changes++
    if (replicas < current) downs++
    current = replicas
    if (current < askedWorkers(scaling, meanInFlight)) short++
  }
  expect(short).toBe(0)
  // From 1 to about 29 workers and back is 56 steps at least when it goes one by one.
  expect(changes).toBeLessThan(200)
  expect(downs).toBeGreaterThan(10)
  expect(current).toBeLessThan(4)
})
