import type { Logger } from '../process/log.ts'
import type { KubeClient } from './client-types.ts'
import { type Clock, systemClock } from './clock.ts'
import type { ClusterAccess } from './cluster-access.ts'

export type ClientLimits = {
  /** Calls a second over a longer time; default 50. */
  readonly requestsPerSecond?: number
  /** Calls at once; default 100. */
  readonly burst?: number
  /** Largest answer, and largest single watch event; default 64 MiB. */
  readonly responseBytes?: number
}

/** Makes the client of one cluster. `userAgent` shows up in that cluster's audit log. */
export function createClient(deps: {
  cluster: ClusterAccess
  userAgent: string
  log: Logger
  limits?: ClientLimits
  clock?: Clock
}): KubeClient {
  void [deps, systemClock]
  throw new Error('not written yet')
}
