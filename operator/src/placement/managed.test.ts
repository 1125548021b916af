import { expect, test } from 'vitest'
import { inferenceService, suspended, withSpec, withStatus } from '../../../test/builders/inference-service.ts'
import { placementSchema } from '../api/placement.ts'
import { isDivided, ownWorkers } from './managed.ts'

const placed = (placement: Record<string, unknown>) => withSpec({ placement: placementSchema.parse(placement) })
const divided = placed({ peers: [{ name: 'university', maxReplicas: 2 }] })

test('a strategy divides where a peer has maxReplicas, or this cluster a bound', () => {
  expect(isDivided(inferenceService('chat').spec)).toBe(false)
  expect(isDivided(inferenceService('chat', placed({ peers: [{ name: 'university', replicas: 2 }] })).spec)).toBe(false)
  expect(isDivided(inferenceService('chat', divided).spec)).toBe(true)
  expect(isDivided(inferenceService('chat', placed({ own: { maxReplicas: 1 } })).spec)).toBe(true)
  expect(isDivided(inferenceService('chat', divided, suspended).spec)).toBe(false)
})

test('without division all workers are here', () => {
  expect(ownWorkers(inferenceService('chat'), 5)).toBe(5)
})

test('with it, what the plan says; before there is one, no more than there are', () => {
  const candidates = [
    { owner: 'own', replicas: 2 },
    { owner: 'university', replicas: 3 },
  ]
  expect(ownWorkers(inferenceService('chat', divided, withStatus({ candidates })), 5)).toBe(2)
  expect(ownWorkers(inferenceService('chat', divided, withStatus({ candidates })), 1)).toBe(1)
  expect(ownWorkers(inferenceService('chat', divided), 5)).toBe(0)
  expect(ownWorkers(inferenceService('chat', divided, withStatus({ replicas: 3 })), 5)).toBe(3)
})
