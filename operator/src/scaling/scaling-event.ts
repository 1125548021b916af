import type { NewEvent } from '../kube/events.ts'
import type { Wanted } from './scaler.ts'

/** The event of a changed count; undefined when it did not change. Notes hold counts alone, so that repeats fold into a series. */
export function scalingEvent({ from, replicas, reason }: Wanted): NewEvent | undefined {
  if (reason === 'Unchanged' || from === replicas) return undefined
  const counts = `${from} to ${replicas} ${replicas === 1 ? 'worker' : 'workers'}`
  const notes = {
    ScaledUp: `${counts}: more requests are under way than spec.scaling.targetInFlight wants for one, or minReplicas is higher`,
    ScaledDown: `${counts}: fewer would have done for spec.scaling.scaleDownWindowSeconds, or maxReplicas is lower`,
    ScaledToZero: `${counts}: no request came for spec.scaling.idleSeconds`,
    Woken: `${counts}: requests wait for the service`,
  }
  return { type: 'Normal', reason, action: 'Scale', note: notes[reason] }
}
