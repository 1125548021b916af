import type { ModelVerifiedReason } from '../api/inference-service-reasons.ts'
import type { Model } from '../api/model.ts'
import { conditionOf } from '../kube/conditions.ts'
import { entrypointOf } from './entrypoint.ts'

/** What the service can do with its Model: serve it (`entrypoint`), or why not. */
export type ModelState = {
  reason: ModelVerifiedReason
  message: string
  servable?: { model: Model; entrypoint: string }
}

/** Judges the Model that a service refers to. */
export function modelState(name: string, model: Model | undefined): ModelState {
  if (model === undefined || model.metadata.deletionTimestamp !== undefined) {
    return { reason: 'ModelNotFound', message: `there is no Model ${name} in this namespace` }
  }
  if (model.spec.format !== 'ONNX') {
    return {
      reason: 'ModelFormatUnsupported',
      message: `Model ${name} is of format ${model.spec.format}; only ONNX can be served`,
    }
  }
  const verified = conditionOf(model.status?.conditions, 'Verified')
  if (
    verified === undefined ||
    verified.status === 'Unknown' ||
    verified.observedGeneration !== model.metadata.generation
  ) {
    return {
      reason: 'ModelNotReady',
      message: `Model ${name} is not verified yet: ${verified?.message ?? 'not looked at yet'}`,
    }
  }
  if (verified.status === 'False') {
    return { reason: 'ModelRejected', message: `Model ${name}: ${verified.reason}: ${verified.message}` }
  }
  const entrypoint = entrypointOf(model.spec)
  if (entrypoint === undefined) {
    return {
      reason: 'ModelRejected',
      message: `Model ${name}: spec.entrypoint must name one of its .onnx files`,
    }
  }
  return { reason: 'Verified', message: `Model ${name} is verified`, servable: { model, entrypoint } }
}
