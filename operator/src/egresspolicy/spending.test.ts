import { expect, test } from 'vitest'
import { remoteWork } from '../../../test/builders/remote-work.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import { createSpending } from './spending.ts'

const priced = {
  replicas: 1,
  resources: { limits: { 'nvidia.com/gpu': '1' } },
  maxPrice: { currency: 'EUR', microsPerGPUHour: 100 },
}
const cost = 2400
const allowed = { egressPolicyName: 'p' }

function spent(...works: RemoteWork[]): number {
  return createSpending(() => works).others('another')('p', 'EUR')
}

test('work counts from its request until the peer has taken the end, or the lease is over', () => {
  const cancel = { kind: 'Cancel' as const, sequence: 3, envelope: '{}' }
  const lease = { epoch: 1, ttlSeconds: 60, signedTime: '2026-01-01T00:00:00Z' }
  const count = (status: RemoteWork['status']) => spent(remoteWork('w', priced, status))
  expect(count(undefined)).toBe(0)
  expect(count(allowed)).toBe(cost)
  expect(count({ ...allowed, outbox: [cancel] })).toBe(cost)
  expect(count({ ...allowed, outbox: [cancel], delivered: [{ kind: 'Cancel', sequence: 2 }] })).toBe(cost)
  expect(count({ ...allowed, outbox: [cancel], delivered: [{ kind: 'Cancel', sequence: 3 }] })).toBe(0)
  expect(count({ ...allowed, outbox: [cancel], lease: { ...lease, state: 'Uncertain' } })).toBe(cost)
  expect(count({ ...allowed, outbox: [cancel], lease: { ...lease, state: 'Ended' } })).toBe(0)
})

test('a tombstone counts once, beside the object that it is left of', () => {
  const work = remoteWork('w', priced, allowed)
  const tombstone = remoteWork('t', priced)
  tombstone.spec.cancelled = {
    requestId: work.metadata.uid ?? '',
    expires: '2026-01-01T00:00:00Z',
    envelope: '{}',
    egressPolicyName: 'p',
  }
  expect(spent(work, tombstone)).toBe(cost)
  expect(spent(tombstone)).toBe(cost)
})

test('a reservation counts before the API server knows, and never against itself', () => {
  const work = remoteWork('w', priced)
  const id = work.metadata.uid ?? ''
  const spending = createSpending(() => [work])
  spending.reserve(id, 'p', work.spec.work)
  expect(spending.others('another')('p', 'EUR')).toBe(cost)
  expect(spending.others('another')('p', 'CHF')).toBe(0)
  expect(spending.others('another')('q', 'EUR')).toBe(0)
  expect(spending.others(id)('p', 'EUR')).toBe(0)
  const cancel = { kind: 'Cancel' as const, sequence: 1, envelope: '{}' }
  work.status = { ...allowed, outbox: [cancel], delivered: [{ kind: 'Cancel', sequence: 1 }] }
  expect(spending.others('another')('p', 'EUR')).toBe(0)
  delete work.status
  spending.release(id)
  expect(spending.others('another')('p', 'EUR')).toBe(0)
})
