import type { InferenceService, InferenceServiceSpec } from '../api/inference-service.ts'
import { ownName } from '../api/placement.ts'

/** Whether the strategy divides the workers; with fixed counts at peers alone it does not. */
export function isDivided({ placement, suspend }: Pick<InferenceServiceSpec, 'placement' | 'suspend'>): boolean {
  if (placement === undefined || suspend) return false
  return placement.own !== undefined || (placement.peers ?? []).some(({ maxReplicas }) => maxReplicas !== undefined)
}

/**
 * Workers that this cluster runs of `total`: what the placement wrote into `status.candidates`. Before it has written anything, no more than
 * there are: a worker that belongs elsewhere shall not be started here first.
 */
export function ownWorkers({ spec, status }: InferenceService, total: number): number {
  if (!isDivided(spec)) return total
  const own = status?.candidates?.find(({ owner }) => owner === ownName)
  return Math.min(total, own?.replicas ?? status?.replicas ?? 0)
}

/** Workers that are ready at peers, and those that are wanted there by the strategy or as fixed counts. */
export function elsewhere({ status }: InferenceService): { wanted: number; ready: number } {
  const owners = status?.owners ?? []
  return {
    wanted: owners.reduce((sum, each) => sum + each.wanted, 0),
    ready: owners.reduce((sum, each) => sum + (each.readyReplicas ?? 0), 0),
  }
}
