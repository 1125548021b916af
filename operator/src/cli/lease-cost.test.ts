import { expect, test } from 'vitest'
import { remoteWork } from '../../../test/builders/remote-work.ts'
import type { GuestWork } from '../api/guest-work.ts'
import type { RemoteWorkStatus } from '../api/remote-work.ts'
import { apiVersion } from '../api/resource.ts'
import { costOfGuestWork, costOfRemoteWork, perService, totalsOf } from './lease-cost.ts'

const euro = (microsPerGPUHour: number) => ({ currency: 'EUR', microsPerGPUHour })
const lease = (price = euro(400_000)) => ({
  epoch: 1,
  ttlSeconds: 60,
  signedTime: '2026-01-01T00:00:00Z',
  state: 'Active' as const,
  price,
})
const twoGpus = { resources: { limits: { 'nvidia.com/gpu': '2', cpu: '1' } } }

function taken(status: RemoteWorkStatus) {
  const work = remoteWork('chat-university-1', twoGpus, status)
  work.metadata.labels = { 'hansa.dev/inference-service': 'chat' }
  return costOfRemoteWork(work)
}

test('what runs now costs by workers and GPUs, what was metered by GPU seconds, rounded down', () => {
  expect(taken({ lease: lease(), replicas: 3, gpuSeconds: 7201 })).toEqual({
    direction: 'Taken',
    peer: 'university',
    service: 'default/chat',
    leases: 1,
    workers: 3,
    gpus: 6,
    price: euro(400_000),
    microsPerHour: 2_400_000,
    gpuSeconds: 7201,
    microsSoFar: 800_111,
  })
})

test('a lease that is over costs nothing more, and what it cost is still there', () => {
  const over = { ...lease(), state: 'Ended' as const }
  expect(taken({ lease: over, replicas: 3, gpuSeconds: 3600 })).toMatchObject({
    workers: 0,
    microsPerHour: 0,
    microsSoFar: 400_000,
  })
})

test('what never had a lease is no line', () => {
  expect(taken({})).toBeUndefined()
  expect(taken({ lease: { ...lease(), epoch: 0, state: 'Ended' } })).toBeUndefined()
})

test('sums that leave the safe integers stay exact', () => {
  const line = taken({ lease: lease(euro(1_000_000_000_000_000)), gpuSeconds: 36_000_001 })
  expect(line?.microsSoFar).toBe(Number((36_000_001n * 1_000_000_000_000_000n) / 3600n))
})

const guest: GuestWork = {
  apiVersion,
  kind: 'GuestWork',
  metadata: { name: 'clinic-1' },
  spec: { peerRef: { name: 'clinic' }, requestId: '', request: '' },
  status: {
    decision: 'Granted',
    replicas: 2,
    gpuSeconds: 3600,
    lease: {
      epoch: 1,
      ttlSeconds: 60,
      grantedTime: '2026-01-01T00:00:00Z',
      expiresTime: '2026-01-01T00:01:00Z',
      renewals: 0,
      price: { currency: 'USD', microsPerGPUHour: 1_000_000 },
    },
  },
}

test('attempts of one service are one line, and currencies and directions are not added up', () => {
  const lines = [
    taken({ lease: lease(), replicas: 1, gpuSeconds: 3600 }),
    taken({ lease: { ...lease(), state: 'Ended' }, gpuSeconds: 1800 }),
    costOfGuestWork(guest, 1),
  ].flatMap((line) => line ?? [])
  expect(perService(lines).map(({ direction, leases, microsSoFar }) => [direction, leases, microsSoFar])).toEqual([
    ['Taken', 1, 600_000],
    ['Given', 1, 1_000_000],
  ])
  expect(totalsOf(lines)).toEqual([
    { direction: 'Taken', currency: 'EUR', gpus: 2, microsPerHour: 800_000, gpuSeconds: 5400, microsSoFar: 600_000 },
    {
      direction: 'Given',
      currency: 'USD',
      gpus: 2,
      microsPerHour: 2_000_000,
      gpuSeconds: 3600,
      microsSoFar: 1_000_000,
    },
  ])
})
