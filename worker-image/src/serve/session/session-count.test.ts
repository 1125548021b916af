import { expect, test } from 'vitest'
import { sessionsThatFit, sessionsWished, threadsOf } from './session-count.ts'

const wish = { wanted: undefined, provider: 'CPU', cpus: 4, availableCpus: 16 } as const

test('a session for each CPU, one on a GPU, and what the service says above all', () => {
  expect(sessionsWished(wish)).toBe(4)
  expect(sessionsWished({ ...wish, cpus: 1.5 })).toBe(1)
  expect(sessionsWished({ ...wish, cpus: 0.5 })).toBe(1)
  expect(sessionsWished({ ...wish, cpus: 128 })).toBe(64)
  expect(sessionsWished({ ...wish, provider: 'CUDA' })).toBe(1)
  expect(sessionsWished({ ...wish, provider: 'CUDA', wanted: 2 })).toBe(2)
})

test('a worker that was promised no CPUs does not take a large node for itself', () => {
  expect(sessionsWished({ ...wish, cpus: undefined })).toBe(4)
  expect(sessionsWished({ ...wish, cpus: undefined, availableCpus: 2 })).toBe(2)
})

test('CPUs are divided among the sessions', () => {
  expect([threadsOf(8, 3), threadsOf(2, 2), threadsOf(0.5, 1), threadsOf(2, 4)]).toEqual([2, 1, 1, 1])
})

test('sessions fit into what the limit leaves beside the worker and its bodies, and one always does', () => {
  const figures = { limitBytes: 2000, workerBytes: 100, bufferBytes: 400, sessionBytes: 400 }
  expect(sessionsThatFit(figures)).toBe(3)
  expect(sessionsThatFit({ ...figures, limitBytes: 300 })).toBe(1)
})
