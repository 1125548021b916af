import {
  type InferenceService,
  type InferenceServiceSpec,
  type InferenceServiceStatus,
  inferenceServiceSpecSchema,
} from '@hansa/operator/api/inference-service.ts'
import { apiVersion, type Condition } from '@hansa/operator/api/resource.ts'
import { type Modifier, metadata } from './object.ts'

type Change = Modifier<InferenceService>

/**
 * An InferenceService as the API server would return it: every default is set, and the model is `<name>-v1`.
 *
 * @example inferenceService('chat', withReplicas(2), withAccess({ namespace: 'web', name: 'front' }))
 */
export function inferenceService(name: string, ...changes: Change[]): InferenceService {
  const service: InferenceService = {
    apiVersion,
    kind: 'InferenceService',
    metadata: metadata('InferenceService', name),
    spec: inferenceServiceSpecSchema.parse({ modelRef: { name: `${name}-v1` } }),
  }
  for (const change of changes) change(service)
  return service
}

export function withSpec(spec: Partial<InferenceServiceSpec>): Change {
  return (service) => {
    service.spec = { ...service.spec, ...spec }
  }
}

export const withModel = (name: string): Change => withSpec({ modelRef: { name } })

/** Changes single fields of `spec.scaling`. */
export const withScaling =
  (scaling: Partial<InferenceServiceSpec['scaling']>): Change =>
  (service) => {
    service.spec = { ...service.spec, scaling: { ...service.spec.scaling, ...scaling } }
  }

function both(...changes: Change[]): Change {
  return (service) => {
    for (const change of changes) change(service)
  }
}

/** Mode Hansa with this count, and `maxReplicas` where it shall differ. */
export const withReplicas = (minReplicas: number, maxReplicas = Math.max(1, minReplicas)): Change =>
  withScaling({ mode: 'Hansa', minReplicas, maxReplicas })

/** Mode External with this count. */
export const withExternalReplicas = (replicas: number): Change =>
  both(withScaling({ mode: 'External', minReplicas: 1, maxReplicas: 1 }), withSpec({ replicas }))

export const withGpus = (count: number): Change =>
  withSpec({ resources: { limits: { 'nvidia.com/gpu': String(count) } } })

export const withAccess = (...serviceAccounts: { namespace: string; name: string }[]): Change =>
  withSpec({ access: { serviceAccounts } })

export const suspended: Change = withSpec({ suspend: true })

export function withStatus(status: InferenceServiceStatus): Change {
  return (service) => {
    service.status = { ...service.status, ...status }
  }
}

/** Sets a condition; what is not given is unimportant to the test. */
export function withCondition(
  type: string,
  status: Condition['status'],
  reason: string = status === 'True' ? type : 'Unset',
): Change {
  return (service) => {
    const others = (service.status?.conditions ?? []).filter((condition) => condition.type !== type)
    const condition = {
      type,
      status,
      reason,
      message: '',
      lastTransitionTime: '2026-01-01T00:00:00Z',
      observedGeneration: service.metadata.generation ?? 1,
    }
    service.status = { ...service.status, conditions: [...others, condition] }
  }
}
