import { z } from 'zod'

export const group = 'hansa.dev'
export const version = 'v1alpha1'
export const apiVersion = `${group}/${version}`

export type OwnerReference = {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller?: boolean
  blockOwnerDeletion?: boolean
}

/** Object metadata as the API server sends it; only the fields that Hansa reads or writes. */
export type ObjectMeta = {
  name: string
  namespace?: string
  uid?: string
  resourceVersion?: string
  generation?: number
  creationTimestamp?: string
  deletionTimestamp?: string
  finalizers?: string[]
  labels?: Record<string, string>
  annotations?: Record<string, string>
  ownerReferences?: OwnerReference[]
}

/** Any Kubernetes object. */
export type KubeObject = {
  apiVersion: string
  kind: string
  metadata: ObjectMeta
}

/** A custom resource of ours: `spec` written by its user, `status` by its controller. */
export type CustomResource<Spec, Status> = KubeObject & { spec: Spec; status?: Status }

export const conditionSchema = z.object({
  type: z.string().max(316).meta({ description: 'Name of the condition, CamelCase.' }),
  status: z.enum(['True', 'False', 'Unknown']).meta({ description: 'True, False or Unknown.' }),
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .meta({ format: 'int64', description: 'metadata.generation that the condition was set for.' }),
  lastTransitionTime: z.string().meta({ format: 'date-time', description: 'When the status last changed.' }),
  reason: z
    .string()
    .min(1)
    .max(1024)
    .meta({ description: 'Reason as one CamelCase word, the same as in events and metrics.' }),
  message: z.string().max(32768).meta({ description: 'What to know and what to do, for people.' }),
})

/** One entry of `status.conditions` (Kubernetes API conventions). */
export type Condition = z.infer<typeof conditionSchema>
