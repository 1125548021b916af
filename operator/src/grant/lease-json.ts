import type { Workload } from '../api/owner-scalars.ts'
import type { ExecutorLease } from './executor.ts'

/** Name of the key in the ConfigMap `<service>-lease`. */
export const leaseKey = 'lease.json'

/** What workers and gateways of the executor enforce without the operator. */
export type LeaseFile = {
  readonly epoch: number
  readonly renewals: number
  /** Stop when no larger `renewals` was seen for so long, by your monotonic clock. */
  readonly ttlSeconds: number
  /** Stop then, by the wall clock. Whichever comes first counts. */
  readonly expires: string
}

/**
 * Content of the lease's ConfigMap, to be written while `mayRun` alone. A worker sees a renewal later than the operator did, so a Train
 * worker, of which there must never be two, is given two thirds of the TTL: one sixth is for the renewal's way (`takeRenewal`), one
 * for the file's. Serving workers may overlap and get all of it.
 */
export function leaseFile(workload: Workload, lease: ExecutorLease): LeaseFile {
  const { epoch, renewals, ttlSeconds, expiresTime } = lease
  return {
    epoch,
    renewals,
    ttlSeconds: workload === 'Train' ? Math.max(1, Math.floor((ttlSeconds * 2) / 3)) : ttlSeconds,
    expires: expiresTime,
  }
}

/** The text of `lease.json`. */
export function leaseJson(workload: Workload, lease: ExecutorLease): string {
  return JSON.stringify(leaseFile(workload, lease))
}
