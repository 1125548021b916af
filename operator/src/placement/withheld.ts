import type { PeersReadyReason } from '../api/inference-service-reasons.ts'
import type { ModelState } from '../inferenceservice/model-state.ts'

/** Why a Model is handed to nobody; undefined where it can be. */
export function whyWithheld({
  reason,
  message,
  servable,
}: ModelState): { reason: PeersReadyReason; message: string } | undefined {
  if (servable === undefined) return { reason: 'NotPlaced', message: `${reason}: ${message}` }
  const { name } = servable.model.metadata
  const { source } = servable.model.spec
  if (source.pvc !== undefined) {
    return {
      reason: 'NotPlaced',
      message: `Model ${name} lies on a claim, which gateways cannot hand out; use a source that fetch can read`,
    }
  }
  if (source.peer !== undefined) {
    return { reason: 'NotPlaced', message: `Model ${name} came from a peer; what one owner lent is not handed on` }
  }
  return undefined
}
