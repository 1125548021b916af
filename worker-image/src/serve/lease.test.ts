import type { GuestLease } from '@hansa/operator/guestlease/lease.ts'
import { createManualClock } from '@hansa/operator/kube/manual-clock.ts'
import { createLogger } from '@hansa/operator/process/log.ts'
import { expect, test } from 'vitest'
import { watchLease } from './lease.ts'

function watched(first?: GuestLease | undefined) {
  const clock = createManualClock()
  const file = { lease: first, reads: 0 }
  const expires = (seconds: number) => new Date(clock.now() + seconds * 1000).toISOString()
  const lease = (changes: Partial<GuestLease> = {}): GuestLease => ({
    epoch: 2,
    renewals: 0,
    ttlSeconds: 10,
    expires: expires(3600),
    ...changes,
  })
  const watch = watchLease('lease.json', {
    clock,
    log: createLogger('serve', 'silent'),
    read: async () => {
      file.reads += 1
      return file.lease
    },
  })
  const begun = { yes: false }
  void watch.begun.then(() => {
    begun.yes = true
  })
  return { clock, file, lease, watch, begun }
}

test('a worker waits for its lease, runs while it is renewed, and ends when it is not', async () => {
  const { clock, file, lease, watch, begun } = watched()
  await clock.advance(30_000)
  expect(begun.yes).toBe(false)
  expect(watch.ended.aborted).toBe(false)
  file.lease = lease()
  await clock.advance(1000)
  expect(begun.yes).toBe(true)
  for (let renewals = 1; renewals <= 5; renewals += 1) {
    await clock.advance(8000)
    file.lease = lease({ renewals })
  }
  await clock.advance(10_000)
  expect(watch.ended.aborted).toBe(false)
  await clock.advance(1000)
  expect(watch.ended.aborted).toBe(true)
  expect(watch.ended.reason).toMatchObject({ reason: 'LeaseEnded' })
})

test('a lease that is over already does not begin', async () => {
  const { clock, file, lease, watch, begun } = watched()
  file.lease = lease({ expires: new Date(clock.now() - 1).toISOString() })
  await clock.advance(5000)
  expect(begun.yes).toBe(false)
  file.lease = lease({ renewals: 1 })
  await clock.advance(1000)
  expect(begun.yes).toBe(true)
  expect(watch.left()).toBeGreaterThan(8000)
})

test('the end comes to the millisecond, and no renewal after it brings the worker back', async () => {
  const { clock, file, lease, watch } = watched()
  file.lease = lease({ ttlSeconds: 10 })
  await clock.advance(1000)
  await clock.advance(9999)
  expect(watch.ended.aborted).toBe(false)
  await clock.advance(1)
  expect(watch.ended.aborted).toBe(true)
  const { reads } = file
  file.lease = lease({ renewals: 7, epoch: 9 })
  await clock.advance(60_000)
  expect(watch.ended.aborted).toBe(true)
  expect(file.reads).toBe(reads)
})

test('a file that goes away or turns to rubbish neither ends nor extends the lease', async () => {
  const { clock, file, lease, watch } = watched()
  file.lease = lease({ ttlSeconds: 10 })
  await clock.advance(1000)
  file.lease = undefined
  await clock.advance(9000)
  expect(watch.ended.aborted).toBe(false)
  await clock.advance(1000)
  expect(watch.ended.aborted).toBe(true)
})

test('a stopped watch reads no more and ends nothing', async () => {
  const { clock, file, lease, watch } = watched()
  file.lease = lease({ ttlSeconds: 10 })
  await clock.advance(1000)
  watch.stop()
  await clock.advance(60_000)
  expect(watch.ended.aborted).toBe(false)
  expect(clock.pending).toBe(0)
})
