import { z } from 'zod'
import { type CustomResource, conditionSchema } from './resource.ts'

const dnsName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/)

const resourceListSchema = z.record(z.string().max(253), z.string().max(32))

const tolerationSchema = z.object({
  key: z.string().max(316).optional().meta({ description: 'Taint key; empty with operator Exists matches all.' }),
  operator: z.enum(['Exists', 'Equal']).optional().meta({ description: 'Exists or Equal (default).' }),
  value: z.string().max(63).optional().meta({ description: 'Taint value for Equal.' }),
  effect: z
    .enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
    .optional()
    .meta({ description: 'Effect; empty matches all.' }),
  tolerationSeconds: z.int().min(0).max(86_400).optional().meta({ format: 'int64', description: 'For NoExecute.' }),
})

const scalingSchema = z
  .object({
    mode: z.enum(['Hansa', 'External']).default('Hansa').meta({
      description: 'Hansa owns the count, or External: the scale subresource (kubectl scale, HPA, KEDA) does.',
    }),
    minReplicas: z.int().min(0).max(1000).default(1).meta({ format: 'int32', description: 'Fewest replicas.' }),
    maxReplicas: z.int().min(1).max(1000).default(1).meta({ format: 'int32', description: 'Most replicas.' }),
  })
  .meta({
    'x-kubernetes-validations': [
      { rule: 'self.minReplicas <= self.maxReplicas', message: 'minReplicas must not be greater than maxReplicas' },
    ],
  })

const accessSchema = z.object({
  serviceAccounts: z
    .array(
      z.object({
        namespace: dnsName.max(63).meta({ description: 'Namespace of the service account.' }),
        name: dnsName.meta({ description: 'Name of the service account.' }),
      }),
    )
    .max(64)
    .optional()
    .meta({
      description: 'Service accounts of this cluster that may call the service.',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['namespace', 'name'],
    }),
  oidc: z
    .array(
      z
        .object({
          issuerName: dnsName
            .max(63)
            .meta({ description: 'Name of an issuer that the cluster admin set for the gateway.' }),
          subjects: z
            .array(z.string().min(1).max(256))
            .max(64)
            .optional()
            .meta({ description: 'Accepted `sub` claims.' }),
          groups: z
            .array(z.string().min(1).max(256))
            .max(64)
            .optional()
            .meta({ description: 'Accepted entries of the `groups` claim.' }),
        })
        .meta({
          'x-kubernetes-validations': [
            {
              rule: '(has(self.subjects) && size(self.subjects) > 0) || (has(self.groups) && size(self.groups) > 0)',
              message: 'an oidc entry must name at least one subject or group',
            },
          ],
        }),
    )
    .max(16)
    .optional()
    .meta({
      description: 'People and programs with a token of an outside issuer.',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['issuerName'],
    }),
})

const timeoutsSchema = z.object({
  requestSeconds: z
    .int()
    .min(1)
    .max(3600)
    .default(60)
    .meta({ format: 'int32', description: 'Longest time for one request, queue included.' }),
  loadSeconds: z
    .int()
    .min(1)
    .max(7200)
    .default(600)
    .meta({ format: 'int32', description: 'Longest time to load and warm up the model.' }),
  drainSeconds: z
    .int()
    .min(0)
    .max(3600)
    .default(30)
    .meta({ format: 'int32', description: 'Time to finish running requests at shutdown.' }),
})

const limitsSchema = z.object({
  requestBytes: z
    .int()
    .min(1024)
    .max(1_073_741_824)
    .default(67_108_864)
    .meta({ format: 'int64', description: 'Largest request body.' }),
  responseBytes: z
    .int()
    .min(1024)
    .max(1_073_741_824)
    .default(67_108_864)
    .meta({ format: 'int64', description: 'Largest response body.' }),
  queueDepth: z
    .int()
    .min(1)
    .max(10_000)
    .default(100)
    .meta({ format: 'int32', description: 'Requests that may wait in one worker; more get 429.' }),
  inFlight: z
    .int()
    .min(1)
    .max(100_000)
    .default(1000)
    .meta({ format: 'int32', description: 'Requests of this service at once in one gateway; more get 429.' }),
})

const executionProviderSchema = z.object({
  type: z
    .enum(['Auto', 'CPU', 'CUDA'])
    .default('Auto')
    .meta({ description: 'Auto: CUDA where resources ask for a GPU, else CPU.' }),
  onUnavailable: z
    .enum(['Fail', 'UseCPU'])
    .default('Fail')
    .meta({ description: 'What a worker does when the provider cannot be loaded on its node.' }),
})

export const inferenceServiceSpecSchema = z
  .object({
    modelRef: z
      .object({ name: dnsName.meta({ description: 'Name of the Model.' }) })
      .meta({ description: 'Model of the same namespace.' }),
    scaling: scalingSchema
      .default({ mode: 'Hansa', minReplicas: 1, maxReplicas: 1 })
      .meta({ description: 'How many workers run.' }),
    replicas: z.int().min(0).max(1000).optional().meta({
      format: 'int32',
      description: 'Wanted replicas in scaling mode External; written through the scale subresource.',
    }),
    resources: z
      .object({
        requests: resourceListSchema.optional().meta({ description: 'Requested quantities.' }),
        limits: resourceListSchema.optional().meta({ description: 'Limits; GPUs go here (nvidia.com/gpu).' }),
      })
      .default({})
      .meta({ description: 'Resources of one worker.' }),
    nodeSelector: z
      .record(z.string().max(316), z.string().max(63))
      .optional()
      .meta({ description: 'Labels that the node must have.' }),
    tolerations: z
      .array(tolerationSchema)
      .max(32)
      .optional()
      .meta({ description: 'Taints that workers tolerate.', 'x-kubernetes-list-type': 'atomic' }),
    runtimeClassName: dnsName.optional().meta({ description: 'RuntimeClass of the worker pods.' }),
    executionProvider: executionProviderSchema
      .default({ type: 'Auto', onUnavailable: 'Fail' })
      .meta({ description: 'ONNX Runtime execution provider.' }),
    timeouts: timeoutsSchema
      .default({ requestSeconds: 60, loadSeconds: 600, drainSeconds: 30 })
      .meta({ description: 'Time limits.' }),
    limits: limitsSchema
      .default({ requestBytes: 67_108_864, responseBytes: 67_108_864, queueDepth: 100, inFlight: 1000 })
      .meta({ description: 'Size and count limits.' }),
    access: accessSchema.default({}).meta({ description: 'Who may call the service; empty: nobody.' }),
    suspend: z
      .boolean()
      .default(false)
      .meta({ description: 'true removes the workers and changes nothing else until it is false again.' }),
  })
  .meta({
    'x-kubernetes-validations': [
      {
        rule: "!has(self.replicas) || self.scaling.mode == 'External'",
        message: 'replicas may be set only when scaling.mode is External',
      },
    ],
  })

export const inferenceServiceStatusSchema = z.object({
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .meta({ format: 'int64', description: 'Generation that the status is for.' }),
  url: z.string().max(2048).optional().meta({ description: 'Base URL; Open Inference Protocol at <url>/v2.' }),
  replicas: z.int().min(0).optional().meta({ format: 'int32', description: 'Workers that exist.' }),
  readyReplicas: z.int().min(0).optional().meta({ format: 'int32', description: 'Workers that are ready.' }),
  selector: z
    .string()
    .max(1024)
    .optional()
    .meta({ description: 'Label selector of the workers, for the scale subresource.' }),
  revision: z.string().max(64).optional().meta({ description: 'Revision that serves.' }),
  latestRevision: z.string().max(64).optional().meta({ description: 'Revision that the spec asks for.' }),
  traffic: z
    .array(
      z.object({
        revision: z.string().max(64).meta({ description: 'Revision.' }),
        percent: z.int().min(0).max(100).meta({ format: 'int32', description: 'Share of the requests.' }),
      }),
    )
    .max(8)
    .optional()
    .meta({
      description: 'Which revisions gateways send requests to.',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['revision'],
    }),
  conditions: z
    .array(conditionSchema)
    .max(16)
    .optional()
    .meta({
      description: '`ModelVerified`, `WorkersReady`, `Routable`, and `Ready` as their sum.',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
    }),
})

export type InferenceServiceSpec = z.infer<typeof inferenceServiceSpecSchema>
export type InferenceServiceStatus = z.infer<typeof inferenceServiceStatusSchema>
export type InferenceService = CustomResource<InferenceServiceSpec, InferenceServiceStatus>

/** The part of the spec that a worker needs, handed over as `HANSA_SERVE` (JSON). */
export const serveSettingsSchema = z.object({
  modelName: z.string().min(1),
  modelVersion: z.string().min(1),
  entrypoint: z.string().min(1),
  executionProvider: z.object({ type: z.enum(['CPU', 'CUDA']), onUnavailable: z.enum(['Fail', 'UseCPU']) }),
  timeouts: timeoutsSchema,
  limits: limitsSchema,
})
export type ServeSettings = z.infer<typeof serveSettingsSchema>

/** What a worker is told about its model, handed over as `HANSA_MODEL` (JSON). */
export const workerModelSchema = z.object({
  namespace: z.string(),
  name: z.string(),
  uid: z.string(),
  format: z.enum(['ONNX', 'TrainingBundle']),
  files: z.array(z.object({ path: z.string(), sha256: z.string(), sizeBytes: z.number() })),
})
export type WorkerModel = z.infer<typeof workerModelSchema>
