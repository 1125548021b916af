import { setTimeout as sleep } from 'node:timers/promises'
import { HansaError, messageOf } from '../process/errors.ts'
import type { Logger } from '../process/log.ts'
import type { Credentials, Identity } from './identity.ts'

/** Credentials with the moment (milliseconds since the epoch) from which on a new certificate should be fetched. */
export type Held = Credentials & { renewAt: number; notAfter: number }

export type RenewalDeps = { log: Logger; signal: AbortSignal; clock?: () => number; random?: () => number }

const firstRetryMilliseconds = 500
const longestRetryMilliseconds = 60_000
const longestRetryAfterMilliseconds = 300_000
// A suspended machine's timers stand still, so the wall clock is looked at again at least this often.
const longestNapMilliseconds = 600_000

/** An identity that can be asked to renew before its time. */
export type Renewable = Identity & { renew(): void }

/** An identity that replaces its credentials when they are due; whatever `obtain` throws, the old ones stay in use. */
export function renewingIdentity(
  deps: RenewalDeps & { uri: string; first: Held; obtain: (signal: AbortSignal) => Promise<Held> },
): Renewable {
  const { uri, first, obtain, log } = deps
  const clock = deps.clock ?? Date.now
  const closing = new AbortController()
  const signal = AbortSignal.any([deps.signal, closing.signal])
  const listeners = new Set<() => void>()
  let held = first
  let asked = false
  let nap = new AbortController()

  async function rest(milliseconds: number): Promise<void> {
    nap = new AbortController()
    const woken = AbortSignal.any([signal, nap.signal])
    await sleep(milliseconds, undefined, { signal: woken, ref: false }).catch((error: unknown) => {
      if (signal.aborted) throw error
    })
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      const wait = Math.max(0, held.renewAt - clock())
      if (!asked) await rest(Math.min(wait, longestNapMilliseconds))
      if (!asked && clock() < held.renewAt) continue
      asked = false
      const { keyPem, certPem, caPem, renewAt, notAfter } = await obtainWithRetries({ ...deps, obtain, signal })
      held = { keyPem, certPem, caPem, renewAt, notAfter }
      log.info({ uri, notAfter: new Date(notAfter).toISOString() }, 'certificate renewed')
      for (const listener of listeners) notify(listener)
    }
  }

  function notify(listener: () => void): void {
    try {
      listener()
    } catch (error) {
      log.error({ uri, error: messageOf(error) }, 'could not hand on a renewed certificate')
    }
  }

  const running = run().catch((error: unknown) => {
    if (!signal.aborted) log.error({ uri, error: messageOf(error) }, 'certificate renewal stopped')
  })

  return {
    uri,
    current: () => held,
    onRenewed: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    renew: () => {
      asked = true
      nap.abort()
    },
    close: async () => {
      closing.abort()
      await running
      listeners.clear()
    },
  }
}

/** Calls `obtain` until it succeeds or the signal aborts: exponential back-off with jitter up to a minute, or what the authority asks. */
export async function obtainWithRetries(
  deps: RenewalDeps & { obtain: (signal: AbortSignal) => Promise<Held> },
): Promise<Held> {
  const { obtain, log, signal, random = Math.random } = deps
  for (let attempt = 0; ; attempt++) {
    signal.throwIfAborted()
    try {
      return await obtain(signal)
    } catch (error) {
      signal.throwIfAborted()
      const delay = retryMilliseconds(error, attempt, random)
      const reason = error instanceof HansaError ? error.reason : 'CertificateRequestFailed'
      log.warn({ reason, error: messageOf(error), retryMilliseconds: delay }, 'no certificate yet')
      await sleep(delay, undefined, { signal })
    }
  }
}

/** Due after a third of what is left of the lifetime, a tenth earlier or later so that processes started together spread out. */
export function renewalTime(from: number, notAfter: number, random: () => number = Math.random): number {
  return from + ((notAfter - from) / 3) * (0.9 + random() * 0.2)
}

function retryMilliseconds(error: unknown, attempt: number, random: () => number): number {
  const asked = error instanceof HansaError ? (error.afterSeconds ?? 0) * 1000 : 0
  const backoff = Math.min(longestRetryMilliseconds, firstRetryMilliseconds * 2 ** Math.min(attempt, 16))
  const least = Math.min(asked, longestRetryAfterMilliseconds)
  return Math.round(least + backoff * (0.5 + random() / 2))
}
