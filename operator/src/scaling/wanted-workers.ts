import type { InferenceServiceSpec } from '../api/inference-service.ts'

export type Scaling = InferenceServiceSpec['scaling']

/** What is known of a service's requests. What is undefined is not known in whole: then no worker goes for it. */
export type Load = {
  /** Mean of requests under way and held in the last `scaleUpWindowSeconds`. */
  meanInFlight: number
  /** Requests under way and held now. */
  pending: number
  /** The most workers that such means asked for in the last `scaleDownWindowSeconds`. */
  peak: number | undefined
  /** How long workers have been ready without any request. */
  quietSeconds: number | undefined
}

/** Why the count is what it is; the first four are also events. */
export type ScalingReason = 'ScaledUp' | 'ScaledDown' | 'ScaledToZero' | 'Woken' | 'Unchanged'

export type Decision = { replicas: number; reason: ScalingReason }

/** Workers for so many requests under way. */
export function askedWorkers({ targetInFlight }: Pick<Scaling, 'targetInFlight'>, inFlight: number): number {
  // A mean is a quotient of measured times: what is a whole number but for rounding is one.
  return Math.ceil(inFlight / targetInFlight - 1e-6)
}

/** How many workers a service in mode Hansa shall have that has `current` now. */
export function wantedWorkers(scaling: Scaling, current: number, load: Load): Decision {
  const { minReplicas, maxReplicas, idleSeconds } = scaling
  const within = (count: number) => Math.min(maxReplicas, Math.max(1, minReplicas, count))
  if (current === 0) {
    if (minReplicas > 0) return { replicas: minReplicas, reason: 'ScaledUp' }
    if (load.pending === 0) return { replicas: 0, reason: 'Unchanged' }
    return { replicas: within(askedWorkers(scaling, load.pending)), reason: 'Woken' }
  }
  const allowed = within(current)
  const asked = within(askedWorkers(scaling, load.meanInFlight))
  if (asked > allowed) return changed(current, asked)
  const { peak, pending, quietSeconds } = load
  if (minReplicas === 0 && pending === 0 && quietSeconds !== undefined && quietSeconds >= idleSeconds) {
    return { replicas: 0, reason: 'ScaledToZero' }
  }
  return changed(current, peak === undefined ? allowed : Math.min(allowed, Math.max(asked, within(peak))))
}

function changed(current: number, replicas: number): Decision {
  if (replicas === current) return { replicas, reason: 'Unchanged' }
  return { replicas, reason: replicas > current ? 'ScaledUp' : 'ScaledDown' }
}
