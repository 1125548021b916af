import type { InferenceService } from '../api/inference-service.ts'

/** The one key of the index of services that require something of their layers. */
export const judgedIndex = 'required'

/** So that a change of a Peer asks for these services alone, not for all. */
export function judgedServices({ spec }: InferenceService): readonly string[] {
  return (spec.placement?.requirements ?? []).length > 0 ? [judgedIndex] : []
}
