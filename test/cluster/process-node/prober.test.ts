import { expect, test } from 'vitest'
import { runProber } from './prober.ts'

/** Runs a prober over a list of results and returns its verdicts with the number of the attempt. */
async function verdicts(results: string, thresholds: { successThreshold?: number; failureThreshold?: number }) {
  const end = new AbortController()
  const seen: [number, boolean][] = []
  let attempts = 0
  await runProber({
    probe: { ...thresholds, periodSeconds: 0.001 },
    attempt: async () => {
      const result = results[attempts++]
      if (attempts > results.length) end.abort()
      return result === '+' ? undefined : 'bad'
    },
    onVerdict: (healthy) => seen.push([attempts, healthy]),
    signal: end.signal,
  })
  return seen
}

test('a verdict needs as many results in a row as its threshold says', async () => {
  expect(await verdicts('+--+---+', { failureThreshold: 3 })).toEqual([
    [1, true],
    [7, false],
    [8, true],
  ])
  expect(await verdicts('+-++-+', { successThreshold: 2, failureThreshold: 9 })).toEqual([[4, true]])
})

test('an attempt that takes too long is told to stop', async () => {
  const end = new AbortController()
  let problem = ''
  await runProber({
    probe: { timeoutSeconds: 0.02, failureThreshold: 1 },
    attempt: (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve('timeout'))),
    onVerdict: (_, why) => {
      problem = why
      end.abort()
    },
    signal: end.signal,
  })
  expect(problem).toBe('timeout')
})
