import fc from 'fast-check'
import { expect, test } from 'vitest'
import { latencyBoundsMs } from './demand-report.ts'
import { latencyBucket, RevisionCounts } from './revision-counts.ts'

test('a latency falls into the first bucket whose bound is not smaller', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 200_000, noNaN: true }), (milliseconds) => {
      const expected = latencyBoundsMs.findIndex((bound) => milliseconds <= bound)
      expect(latencyBucket(milliseconds)).toBe(expected === -1 ? latencyBoundsMs.length : expected)
    }),
  )
  for (const [index, bound] of latencyBoundsMs.entries()) expect(latencyBucket(bound)).toBe(index)
})

test('failures count as requests and leave the latencies alone', () => {
  const counts = new RevisionCounts()
  counts.answered(3, 0)
  counts.failed(0)
  counts.answered(3, 0)
  counts.spoiled()
  const report = counts.report('r1')
  expect(report).toMatchObject({ revision: 'r1', requests: 3, failures: 2, mirrored: 0, disagreed: 0 })
  expect(report.latencyCounts.reduce((sum, count) => sum + count, 0)).toBe(2)
})

test('the recent percentile follows what happens now and is unknown for a few requests', () => {
  const counts = new RevisionCounts()
  for (let i = 0; i < 9; i += 1) counts.answered(10, 0)
  expect(counts.recentP90Ms(0)).toBeUndefined()
  for (let i = 0; i < 991; i += 1) counts.answered(10, 0)
  expect(counts.recentP90Ms(0)).toBeGreaterThanOrEqual(10)
  expect(counts.recentP90Ms(0)).toBeLessThan(12.6)
  expect(counts.recentP90Ms(60_000)).toBeLessThan(12.6)
  for (let i = 0; i < 100; i += 1) counts.answered(1000, 60_000)
  expect(counts.recentP90Ms(60_000)).toBeGreaterThanOrEqual(1000)
})
