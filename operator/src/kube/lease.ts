import { messageOf } from '../process/errors.ts'
import type { Logger } from '../process/log.ts'
import { isAlreadyExists, isConflict } from './api-error.ts'
import { type Lease, leases } from './builtin.ts'
import type { KubeClient } from './client-types.ts'
import { type Clock, sleep, systemClock } from './clock.ts'
import type { Live } from './resource.ts'

/** What the leader holds while it leads. */
export type Leadership = {
  /**
   * Fencing token: grows with every change of leader. Hand it to whatever acts outside of Kubernetes; election alone does
   * not keep an old leader from acting late. It begins anew when somebody deletes the Lease.
   */
  readonly token: number
  /** Aborted as soon as leadership is lost or given up. */
  readonly signal: AbortSignal
  /** Whether the lease is still ours by our own clock; ask before an effect that cannot be undone. */
  held(): boolean
}

/**
 * Takes part in the election on one Lease until the signal is aborted, and calls `lead` each time it wins. `lead` must end soon
 * after its signal is aborted: only then is the lease released, which hands over within 3 s. Give it a client of its own, so
 * that renewals never queue behind the controllers' calls.
 */
export async function runElection(
  deps: { readonly client: KubeClient; readonly log: Logger; readonly clock?: Clock; readonly random?: () => number },
  options: {
    readonly namespace: string
    readonly name: string
    /** Unique per process, such as the pod's name and a random part. */
    readonly identity: string
    /**
     * How long others wait for a renewal; default 15. The leader gives up after two thirds of it without one, so that it has
     * stopped before others may begin.
     */
    readonly leaseDurationSeconds?: number
  },
  lead: (leadership: Leadership) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { client, clock = systemClock, random = Math.random } = deps
  const { namespace, name, identity } = options
  const { leaseDurationSeconds = 15 } = options
  const renewDeadlineSeconds = (leaseDurationSeconds * 2) / 3
  const log = deps.log.child({ lease: `${namespace}/${name}`, identity })
  const retryMilliseconds = Math.min(2, renewDeadlineSeconds / 5) * 1_000
  // Release and the last renewal must still go out when the caller has aborted everything.
  const callSignal = new AbortController().signal
  const call = { signal: callSignal, timeoutSeconds: Math.min(5, renewDeadlineSeconds) }
  // Others' clocks are not to be trusted: a lease counts as expired when it has not changed for its duration by our own clock.
  let observed: { version: string; at: number } | undefined
  let expiresIn = Number.POSITIVE_INFINITY

  async function tryAcquire(): Promise<{ lease: Live<Lease>; renewedAt: number } | undefined> {
    const current = await client.get(leases, { namespace, name }, call)
    const renewedAt = clock.monotonic()
    if (current === undefined) {
      const lease = await client.create(leases, leaseOf(undefined, 0), call)
      return { lease, renewedAt }
    }
    const version = current.metadata.resourceVersion
    if (observed?.version !== version) observed = { version, at: clock.monotonic() }
    const holder = current.spec?.holderIdentity ?? ''
    const durationMilliseconds = (current.spec?.leaseDurationSeconds ?? leaseDurationSeconds) * 1_000
    expiresIn = observed.at + durationMilliseconds - clock.monotonic()
    if (holder !== '' && holder !== identity && expiresIn > 0) return undefined
    const transitions = (current.spec?.leaseTransitions ?? 0) + 1
    const lease = await client.replace(leases, leaseOf(current, transitions), call)
    return { lease, renewedAt }
  }

  function leaseOf(current: Live<Lease> | undefined, leaseTransitions: number): Lease {
    const now = microTime(clock.now())
    const spec = { holderIdentity: identity, leaseDurationSeconds, acquireTime: now, renewTime: now, leaseTransitions }
    if (current !== undefined) return { ...current, spec: { ...current.spec, ...spec } }
    return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { namespace, name }, spec }
  }

  async function acquire(): Promise<{ lease: Live<Lease>; renewedAt: number } | undefined> {
    while (!signal.aborted) {
      expiresIn = Number.POSITIVE_INFINITY
      try {
        const won = await tryAcquire()
        if (won !== undefined) return won
      } catch (thrown) {
        if (!isConflict(thrown) && !isAlreadyExists(thrown)) {
          log.warn({ error: messageOf(thrown) }, 'cannot try for the lease')
        }
      }
      const pause = retryMilliseconds * (0.8 + 0.2 * random())
      // A lease that is about to expire is tried for right then.
      await sleep(clock, expiresIn > 0 ? Math.min(pause, expiresIn + 10) : pause, signal)
    }
    return undefined
  }

  function renewCall(renewedAt: number) {
    const left = renewDeadlineSeconds - (clock.monotonic() - renewedAt) / 1_000
    return { signal: callSignal, timeoutSeconds: Math.min(5, Math.max(0.1, left)) }
  }

  /** Renews until the signal is aborted (true: the lease is still ours) or the lease is lost (false). */
  async function keep(holding: { lease: Live<Lease>; renewedAt: number }, ended: AbortSignal): Promise<boolean> {
    while (!ended.aborted) {
      await sleep(clock, retryMilliseconds, ended)
      if (ended.aborted) break
      const renewedAt = clock.monotonic()
      try {
        const spec = { ...holding.lease.spec, renewTime: microTime(clock.now()) }
        holding.lease = await client.replace(leases, { ...holding.lease, spec }, renewCall(holding.renewedAt))
        holding.renewedAt = renewedAt
      } catch (thrown) {
        log.warn({ error: messageOf(thrown) }, 'cannot renew the lease')
        if (isConflict(thrown)) {
          const ref = { namespace, name }
          const current = await client.get(leases, ref, renewCall(holding.renewedAt)).catch(() => undefined)
          // A renewal whose answer was lost conflicts with itself.
          if (current?.spec?.holderIdentity === identity) {
            const sameTerm = current.spec.leaseTransitions === holding.lease.spec?.leaseTransitions
            if (!sameTerm) return false
            holding.lease = current
          } else if (current !== undefined) return false
        }
      }
      if (clock.monotonic() - holding.renewedAt >= renewDeadlineSeconds * 1_000) return false
    }
    return clock.monotonic() - holding.renewedAt < leaseDurationSeconds * 1_000
  }

  async function release(lease: Live<Lease>): Promise<void> {
    const now = microTime(clock.now())
    const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: now, acquireTime: now }
    try {
      await client.replace(leases, { ...lease, spec }, { signal: callSignal, timeoutSeconds: 2 })
      log.info('lease released')
    } catch (thrown) {
      log.warn({ error: messageOf(thrown) }, 'cannot release the lease; it will expire')
    }
  }

  while (!signal.aborted) {
    const holding = await acquire()
    if (holding === undefined) return
    const token = holding.lease.spec?.leaseTransitions ?? 0
    log.info({ token }, 'leading')
    const leading = new AbortController()
    const keeping = new AbortController()
    const onSignal = () => {
      leading.abort(signal.reason)
      keeping.abort()
    }
    signal.addEventListener('abort', onSignal, { once: true })
    if (signal.aborted) onSignal()
    const held = () => !leading.signal.aborted && clock.monotonic() - holding.renewedAt < leaseDurationSeconds * 1_000
    const term = { token, signal: leading.signal, held }
    const led = (leading.signal.aborted ? Promise.resolve() : lead(term))
      .catch((thrown: unknown) => log.error({ error: messageOf(thrown) }, 'the leader failed'))
      .finally(() => keeping.abort())
    const ours = await keep(holding, keeping.signal)
    leading.abort(new DOMException('leadership was lost', 'AbortError'))
    signal.removeEventListener('abort', onSignal)
    await led
    // Who ended late may have been replaced meanwhile; the resource version makes the release a no-op then.
    if (ours) await release(holding.lease)
    else log.error({ token }, 'leadership was lost')
    observed = undefined
    if (!signal.aborted) await sleep(clock, retryMilliseconds, signal)
  }
}

/** A Kubernetes MicroTime. */
export function microTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('Z', '000Z')
}
