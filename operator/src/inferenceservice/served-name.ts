import type { InferenceService } from '../api/inference-service.ts'
import { guestWorkLabel } from '../guestlease/lease.ts'

/** Annotation of a guest's InferenceService: what the users of the requester call the model in paths and bodies. */
const servedNameAnnotation = 'hansa.dev/served-name'

/** The annotation for a guest whose requester said a name. */
export function servedNameAs(name: string | undefined): Record<string, string> {
  return name === undefined ? {} : { [servedNameAnnotation]: name }
}

/** The name by which workers know their model: the service's own, or for guests the one that the requester's service has. */
export function servedName({ metadata }: Pick<InferenceService, 'metadata'>): string {
  const isGuest = metadata.labels?.[guestWorkLabel] !== undefined
  return (isGuest ? metadata.annotations?.[servedNameAnnotation] : undefined) ?? metadata.name
}
