import type { Logger } from '../process/log.ts'
import type { KubeClient } from './client-types.ts'
import type { Clock } from './clock.ts'

/** What the leader holds while it leads. */
export type Leadership = {
  /**
   * Fencing token: grows with every change of leader. Hand it to whatever acts outside of Kubernetes; election alone does
   * not keep an old leader from acting late.
   */
  readonly token: number
  /** Aborted as soon as leadership is lost or given up. */
  readonly signal: AbortSignal
  /** Whether the lease is still ours by our own clock; ask before an effect that cannot be undone. */
  held(): boolean
}

/**
 * Takes part in the election on one Lease until the signal is aborted, and calls `lead` each time it wins. `lead` must end soon
 * after its signal is aborted: only then is the lease released, which hands over within 3 s.
 */
export async function runElection(
  deps: { readonly client: KubeClient; readonly log: Logger; readonly clock?: Clock; readonly random?: () => number },
  options: {
    readonly namespace: string
    readonly name: string
    /** Unique per process, such as the pod's name and a random part. */
    readonly identity: string
    readonly leaseDurationSeconds?: number
    readonly renewDeadlineSeconds?: number
    readonly retryPeriodSeconds?: number
  },
  lead: (leadership: Leadership) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  void [deps, options, lead, signal]
  throw new Error('not written yet')
}
