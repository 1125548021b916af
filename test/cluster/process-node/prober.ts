import { setTimeout as sleep } from 'node:timers/promises'
import type { Probe } from './kube-types.ts'

export interface ProberOptions {
  readonly probe: Probe
  /** One attempt; resolves to what is wrong, undefined when all is well. */
  readonly attempt: (signal: AbortSignal) => Promise<string | undefined>
  /** Called at the first verdict and whenever it changes. */
  readonly onVerdict: (healthy: boolean, problem: string) => void
  /** Called at each failed attempt. */
  readonly onFailure?: (problem: string) => void
  readonly signal: AbortSignal
}

/** Repeats a probe until the signal fires and applies its thresholds. */
export async function runProber({ probe, attempt, onVerdict, onFailure, signal }: ProberOptions): Promise<void> {
  const { initialDelaySeconds = 0, periodSeconds = 10, timeoutSeconds = 1 } = probe
  const { successThreshold = 1, failureThreshold = 3 } = probe
  let verdict: boolean | undefined
  let successes = 0
  let failures = 0
  await pause(initialDelaySeconds, signal)
  while (!signal.aborted) {
    const began = Date.now()
    const problem = await attempt(AbortSignal.any([signal, AbortSignal.timeout(timeoutSeconds * 1_000)]))
    if (signal.aborted) return
    successes = problem === undefined ? successes + 1 : 0
    failures = problem === undefined ? 0 : failures + 1
    if (problem !== undefined) onFailure?.(problem)
    const next = successes >= successThreshold ? true : failures >= failureThreshold ? false : verdict
    if (next !== undefined && next !== verdict) {
      verdict = next
      onVerdict(next, problem ?? '')
    }
    await pause(periodSeconds - (Date.now() - began) / 1_000, signal)
  }
}

function pause(seconds: number, signal: AbortSignal): Promise<void> {
  return sleep(Math.max(0, seconds * 1_000), undefined, { signal }).catch(() => undefined)
}
