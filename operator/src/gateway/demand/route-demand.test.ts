import { expect, test } from 'vitest'
import { RouteDemand } from './route-demand.ts'

test('requests under way are integrated over time, held ones included', () => {
  const demand = new RouteDemand()
  expect(demand.report('apps', 'digits', 0)).toBeUndefined()
  demand.enter(1000)
  demand.enter(2000)
  demand.held = 1
  expect(demand.report('apps', 'digits', 4000)).toEqual({
    namespace: 'apps',
    service: 'digits',
    inFlight: 1,
    held: 1,
    arrivals: 2,
    inFlightSeconds: 1 + 2 * 2,
    revisions: [],
  })
  demand.held = 0
  demand.leave(5000)
  demand.leave(5000)
  expect(demand.report('apps', 'digits', 9000)).toMatchObject({ inFlight: 0, held: 0, inFlightSeconds: 7 })
})

test('at most 16 revisions are remembered, those used last', () => {
  const demand = new RouteDemand()
  for (let i = 0; i < 20; i += 1) demand.revision(`r${i}`, i).failed(i)
  expect([...demand.revisions.keys()]).toEqual(Array.from({ length: 16 }, (_, i) => `r${i + 4}`))
  expect(demand.revision('r19', 99).failures).toBe(1)
})
