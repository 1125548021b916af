import fc from 'fast-check'
import { expect, test } from 'vitest'
import { afterReady } from './two-phase.ts'

const place = (name: string, planned: number, current: number, ready: number) => ({ name, planned, current, ready })
const counts = (total: number, ...places: ReturnType<typeof place>[]) => Object.fromEntries(afterReady(places, total))

test('who loses workers keeps them until they are ready elsewhere', () => {
  expect(counts(4, place('own', 4, 2, 2), place('city', 0, 2, 2))).toEqual({ own: 4, city: 2 })
  expect(counts(4, place('own', 4, 4, 3), place('city', 0, 2, 2))).toEqual({ own: 4, city: 1 })
  expect(counts(4, place('own', 4, 4, 4), place('city', 0, 2, 2))).toEqual({ own: 4, city: 0 })
})

test('fewer workers go at once, and more come at once', () => {
  expect(counts(2, place('own', 2, 2, 2), place('city', 0, 2, 2))).toEqual({ own: 2, city: 0 })
  expect(counts(5, place('own', 2, 2, 2), place('city', 3, 0, 0))).toEqual({ own: 2, city: 3 })
})

const anyPlace = fc
  .record({ planned: fc.nat(5), current: fc.nat(5), lost: fc.nat(2) })
  .map(({ planned, current, lost }) => ({ planned, current, ready: Math.max(0, current - lost) }))

test('what is ready never falls below what is wanted because somebody gave it up', () => {
  fc.assert(
    fc.property(fc.array(anyPlace, { minLength: 1, maxLength: 4 }), (some) => {
      const places = some.map((each, i) => ({ name: `p${i}`, ...each }))
      const total = places.reduce((sum, { planned }) => sum + planned, 0)
      const shall = afterReady(places, total)
      const before = places.reduce((sum, { ready }) => sum + ready, 0)
      const after = places.reduce((sum, { name, ready }) => sum + Math.min(ready, shall.get(name) ?? 0), 0)
      expect(after).toBeGreaterThanOrEqual(Math.min(before, total))
      for (const { name, planned } of places) expect(shall.get(name)).toBeGreaterThanOrEqual(planned)
    }),
  )
})
