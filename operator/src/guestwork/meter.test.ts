import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isMeterDue, type Metered, meter, type PodTime } from './meter.ts'

const start = Date.parse('2026-01-01T00:00:00Z')
const at = (seconds: number) => new Date(start + seconds * 1_000).toISOString()
const fresh: Metered = { gpuSeconds: 0, meteredTime: at(0) }

test('each pod counts from its start to its end, for each of its GPUs', () => {
  const pods = [
    { uid: 'a', start: at(10), end: at(40) },
    { uid: 'b', start: at(20) },
  ]
  expect(meter(fresh, pods, 2, start + 60_000)).toEqual({ gpuSeconds: 2 * (30 + 40), meteredTime: at(60) })
})

test('counting is due when a pod began or ended, not because time passes', () => {
  const before = { gpuSeconds: 5, meteredTime: at(30) }
  expect(isMeterDue(before, [{ uid: 'a', start: at(10) }])).toBe(false)
  expect(isMeterDue(before, [{ uid: 'a', start: at(10), end: at(31) }])).toBe(true)
  expect(isMeterDue(before, [{ uid: 'a', start: at(31) }])).toBe(true)
})

const pods: fc.Arbitrary<PodTime[]> = fc.array(
  fc
    .tuple(fc.integer({ min: 0, max: 100 }), fc.option(fc.integer({ min: 0, max: 100 }), { nil: undefined }))
    .map(([began, lasted]) => ({
      uid: `${began}-${lasted}`,
      start: at(began),
      ...(lasted !== undefined && { end: at(began + lasted) }),
    })),
  { maxLength: 6 },
)

test('wherever the time is cut, also by restarts and repeated counts, the sum is the same and clocks set back take nothing away', () => {
  fc.assert(
    fc.property(pods, fc.array(fc.integer({ min: 0, max: 300_000 }), { maxLength: 8 }), (all, cuts) => {
      const whole = meter(fresh, all, 3, start + 300_000)
      let counted = fresh
      for (const cut of cuts.sort((a, b) => a - b)) {
        counted = meter(counted, all, 3, start + cut)
        expect(meter(counted, all, 3, start + cut)).toEqual(counted)
        expect(meter(counted, all, 3, start + cut - 5_000)).toEqual(counted)
      }
      expect(meter(counted, all, 3, start + 300_000)).toEqual(whole)
    }),
  )
})
