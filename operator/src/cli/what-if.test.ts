import { expect, test } from 'vitest'
import { inferenceService, withSpec } from '../../../test/builders/inference-service.ts'
import { placementSchema } from '../api/placement.ts'
import { changed } from './what-if.ts'

const placement = placementSchema.parse({
  peers: [
    { name: 'university', maxReplicas: 2 },
    { name: 'city', replicas: 1 },
  ],
})
const service = inferenceService('chat', withSpec({ placement }))
const after = (...given: string[]) => changed(service, 3, given)

test('each key changes its part, and the service itself stays as it is', () => {
  const { service: seen, total } = after(
    ...['strategy=cheapest', 'replicas=5', 'maxPrice=EUR:500000', 'maxLatency=20', 'minOwners=2', 'maxShare=500'],
    ...['own=1', 'without=university', 'city=4', 'harbour=2'],
  )
  expect(total).toBe(5)
  expect(seen.spec.placement).toMatchObject({
    strategy: 'Cheapest',
    maxPrice: { currency: 'EUR', microsPerGPUHour: 500_000 },
    maxLatencyMilliseconds: 20,
    minOwners: 2,
    maxSharePerOwnerPermille: 500,
    own: { maxReplicas: 1 },
    peers: [
      { name: 'city', maxReplicas: 4 },
      { name: 'harbour', maxReplicas: 2 },
    ],
  })
  expect(service.spec.placement).toEqual(placement)
})

test.each([
  'strategy=Best',
  'replicas=-1',
  'replicas=many',
  'maxPrice=500',
  'maxShare=2000',
  'without=harbour',
  'university=0',
  'nothing',
  '=3',
  'City=3',
])('--if %s is refused with what it must be', (given) => {
  expect(() => after(given)).toThrow(/--if .*: (must be|spec\.placement\.peers has no)/)
})
