import type { Model, ModelStatus } from '../api/model.ts'
import { type ModelReason, modelReasonTexts } from '../api/model-reasons.ts'
import type { Condition } from '../api/resource.ts'
import { conditionOf, setConditions } from '../kube/conditions.ts'

/** What is known of a Model's files. */
export type Finding = { reason: ModelReason; message: string }

export const verified = (): Finding => ({
  reason: 'Verified',
  message: 'every file has its size and digest and is safe to load',
})

export function isVerified(model: Model): boolean {
  return decided(model)?.status === 'True'
}

/**
 * Whether the finding says anything to those who know the Model's status. What was found out about an immutable spec stays known
 * while it is only being looked at once more: fetch lost its disk, cannot be reached, or tries a source again.
 */
export function isNews(model: Model, { reason }: Finding): boolean {
  return modelReasonTexts[reason].status !== 'Unknown' || decided(model) === undefined
}

/** The condition `Verified` of this generation, once it is True or False. */
function decided(model: Model): Condition | undefined {
  const condition = conditionOf(model.status?.conditions, 'Verified')
  const isCurrent = condition?.observedGeneration === model.metadata.generation
  return isCurrent && condition?.status !== 'Unknown' ? condition : undefined
}

/** The one place that makes a Model's status. */
export function summarise(model: Model, { reason, message }: Finding, now: Date): ModelStatus {
  const observedGeneration = model.metadata.generation ?? 0
  const { status } = modelReasonTexts[reason]
  const ready = status === 'True' ? { reason: 'Ready', message: 'the model can be served' } : { reason, message }
  const conditions: Condition[] = setConditions(
    model.status?.conditions,
    [
      { type: 'Verified', status, reason, message, observedGeneration },
      { type: 'Ready', status, ...ready, observedGeneration },
    ],
    now,
  )
  return {
    observedGeneration,
    sizeBytes: model.spec.files.reduce((sum, file) => sum + file.sizeBytes, 0),
    conditions,
  }
}
