import { expect, test } from 'vitest'
import { addSample, longestWindowSeconds, type Sample } from './samples.ts'

const at = (seconds: number, arrivals: number): Sample => ({
  at: seconds,
  arrivals,
  inFlightSeconds: arrivals,
  revisions: [],
})

test('however often and however long a gateway reports, few samples are kept, back to an hour', () => {
  const samples: Sample[] = []
  for (let now = 0; now < 20_000; now += 0.2) {
    addSample(samples, at(now, now))
    expect(samples.length).toBeLessThanOrEqual(256)
  }
  expect(samples[0]?.at).toBeLessThan(20_000 - longestWindowSeconds)
  const lastMinute = samples.filter((sample) => sample.at > 19_940)
  expect(lastMinute.length).toBeGreaterThan(60)
})

test('a quiet service takes two places', () => {
  const samples: Sample[] = []
  for (let now = 0; now < 500; now++) addSample(samples, at(now, 7))
  expect(samples.map((sample) => sample.at)).toEqual([0, 499])
})
