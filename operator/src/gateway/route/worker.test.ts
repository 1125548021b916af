import { expect, test } from 'vitest'
import { RevisionCounts } from '../demand/revision-counts.ts'
import { WorkerSessions } from '../grpc/worker-sessions.ts'
import { pickWorker } from './pick-worker.ts'
import { RetryBudget } from './retry-budget.ts'
import { Worker } from './worker.ts'

function worker(pod: string, options: { now?: () => number; revision?: string; percent?: number } = {}): Worker {
  const { now = () => 0, revision = 'r1', percent = 100 } = options
  return new Worker({ address: '10.0.0.1', pod, revision, percent }, new RevisionCounts(), {
    port: 1,
    now,
    random: () => 0.5,
    connect: () => undefined,
    openSessions: () => new WorkerSessions('10.0.0.1', { tls: () => ({}), port: 1, now }),
  })
}

test('one failed connection ejects a worker, with a back-off that doubles up to half a minute', () => {
  let now = 0
  const ailing = worker('a', { now: () => now })
  const pauses = []
  for (let i = 0; i < 8; i += 1) {
    ailing.record('unreachable')
    pauses.push(ailing.ejectedUntil - now)
    now = ailing.ejectedUntil
  }
  expect(pauses).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
})

test('five errors of the server in a row eject; an answer in between starts the count again', () => {
  const ailing = worker('a')
  for (let i = 0; i < 4; i += 1) ailing.record('serverError')
  ailing.record('answered')
  for (let i = 0; i < 4; i += 1) ailing.record('serverError')
  expect(ailing.isEjected()).toBe(false)
  ailing.record('serverError')
  expect(ailing.isEjected()).toBe(true)
})

test('the worker with the fewest requests under way is picked, ejected ones only when all are', () => {
  const [a, b] = [worker('a'), worker('b')]
  a.outstanding = 3
  b.outstanding = 1
  expect(pickWorker([a, b], [], () => 0.5)).toBe(b)
  b.record('unreachable')
  expect(pickWorker([a, b], [], () => 0.5)).toBe(a)
  a.record('unreachable')
  expect(pickWorker([a, b], [], () => 0.5)).toBe(b)
  expect(pickWorker([a, b], [a, b], () => 0.5)).toBeUndefined()
})

test('ties are broken evenly', () => {
  const workers = ['a', 'b', 'c'].map((pod) => worker(pod))
  const counts = new Map<string, number>()
  for (let i = 0; i < 3000; i += 1) {
    const pod = pickWorker(workers, [], Math.random)?.endpoint.pod ?? ''
    counts.set(pod, (counts.get(pod) ?? 0) + 1)
  }
  for (const count of counts.values()) expect(count).toBeGreaterThan(800)
  expect(counts.size).toBe(3)
})

test('revisions get their share of the requests whatever their number of workers', () => {
  const workers = [
    worker('old-1', { revision: 'r1', percent: 90 }),
    worker('new-1', { revision: 'r2', percent: 10 }),
    worker('new-2', { revision: 'r2', percent: 10 }),
  ]
  let old = 0
  for (let i = 0; i < 5000; i += 1) if (pickWorker(workers, [], Math.random)?.endpoint.revision === 'r1') old += 1
  expect(old / 5000).toBeGreaterThan(0.87)
  expect(old / 5000).toBeLessThan(0.93)
})

test('the retry budget allows a fifth of the requests beyond its reserve', () => {
  let now = 0
  const budget = new RetryBudget(() => now)
  const retries = () => {
    let count = 0
    while (budget.withdraw()) count += 1
    return count
  }
  expect(retries()).toBe(10)
  for (let i = 0; i < 101; i += 1) budget.deposit()
  expect(retries()).toBe(20)
  now += 3000
  expect(retries()).toBe(3)
})

test('a worker that was full takes one more as soon as one of its requests has left, and is asked again after a moment', () => {
  let time = 0
  const busy = worker('a', { now: () => time })
  busy.outstanding = 12
  busy.recordFull(11)
  expect(busy.isSaturated()).toBe(true)
  busy.recordFull(10)
  busy.outstanding = 10
  expect(busy.isSaturated()).toBe(true)
  busy.outstanding = 9
  expect(busy.isSaturated()).toBe(false)
  busy.outstanding = 12
  time = 200
  expect(busy.isSaturated()).toBe(false)
  busy.recordFull(0)
  busy.outstanding = 0
  expect(busy.isSaturated()).toBe(false)
})

test('a slow answer is forgotten with time also where nobody asks, so that it is asked again', () => {
  let now = 0
  const slow = worker('a', { now: () => now })
  expect(slow.latencyMs).toBeUndefined()
  slow.recordLatency(5000)
  expect(slow.latencyMs).toBe(5000)
  now = 10_000
  expect(slow.latencyMs).toBeCloseTo(5000 / Math.E)
  now = 60_000
  expect(slow.latencyMs).toBeLessThan(20)
  slow.recordLatency(100)
  expect(slow.latencyMs).toBe(100)
})
