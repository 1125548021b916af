import type { AccessKey } from '../api/access-key.ts'
import type { InferenceService } from '../api/inference-service.ts'
import type { Model } from '../api/model.ts'
import { group, version } from '../api/resource.ts'
import { defineResource } from './resource.ts'

const hansa = { group, version, namespaced: true }

export const models = defineResource<Model>({ ...hansa, plural: 'models', kind: 'Model' })
export const inferenceServices = defineResource<InferenceService>({
  ...hansa,
  plural: 'inferenceservices',
  kind: 'InferenceService',
})
export const accessKeys = defineResource<AccessKey>({ ...hansa, plural: 'accesskeys', kind: 'AccessKey' })
