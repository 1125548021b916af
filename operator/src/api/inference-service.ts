import { z } from 'zod'
import { embeddingSchema } from './model.ts'
import { dataClass, peerName } from './owner-scalars.ts'
import { placementCandidateSchema, placementSchema } from './placement.ts'
import { refusalSchema } from './remote-work.ts'
import { type CustomResource, conditionSchema } from './resource.ts'
import { listMap, rules } from './rule.ts'
import { boundedRecord, dnsLabel, dnsSubdomain, labelValue, objectName, quantity } from './scalar.ts'

const resourcesSchema = z.object({
  requests: boundedRecord(quantity, 16)
    .optional()
    .meta({
      description: 'Requested quantities of cpu, memory and ephemeral-storage, as strings.',
      ...rules({
        rule: "self.all(name, name in ['cpu', 'memory', 'ephemeral-storage'])",
        message: 'requests must name only cpu, memory and ephemeral-storage; GPUs go into limits',
      }),
    }),
  limits: boundedRecord(quantity, 16)
    .optional()
    .meta({
      description: 'Limits as strings; GPUs and other extended resources go here, such as `nvidia.com/gpu: "1"`.',
      ...rules(
        {
          rule: "self.all(name, name in ['cpu', 'memory', 'ephemeral-storage'] || (size(name) <= 253 && name.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$')))",
          message: 'limits must name cpu, memory, ephemeral-storage or extended resources such as nvidia.com/gpu',
        },
        {
          rule: "self.all(name, !name.contains('/') || self[name].matches('^[1-9][0-9]{0,3}$'))",
          message: 'limits of extended resources such as nvidia.com/gpu must be whole numbers from 1 to 9999',
        },
      ),
    }),
})

const tolerationSchema = z
  .object({
    key: z.string().max(316).optional().meta({ description: 'Taint key; empty with operator Exists matches all.' }),
    operator: z
      .enum(['Exists', 'Equal'])
      .optional()
      .meta({ description: 'Exists or Equal; Equal where it is not set.' }),
    value: labelValue.optional().meta({ description: 'Taint value for Equal.' }),
    effect: z
      .enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
      .optional()
      .meta({ description: 'Effect; where it is not set all effects match.' }),
    tolerationSeconds: z
      .int()
      .min(0)
      .max(86_400)
      .optional()
      .meta({ format: 'int64', description: 'How long a NoExecute taint is tolerated.' }),
  })
  .meta(
    rules(
      {
        rule: "(has(self.key) && self.key != '') || (has(self.operator) && self.operator == 'Exists')",
        message: 'a toleration must have a key, or the operator Exists',
      },
      {
        rule: "!has(self.operator) || self.operator != 'Exists' || !has(self.value) || self.value == ''",
        message: 'a toleration with the operator Exists must have no value',
      },
      {
        rule: "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
        message: 'tolerationSeconds must go with the effect NoExecute',
      },
    ),
  )

const scalingSchema = z
  .object({
    mode: z.enum(['Hansa', 'External']).default('Hansa').meta({
      description:
        'Hansa: the operator keeps the count between minReplicas and maxReplicas. External: spec.replicas and the scale subresource say it (kubectl scale, HPA, KEDA); minReplicas and maxReplicas are not used.',
    }),
    minReplicas: z.int().min(0).max(1000).default(1).meta({ format: 'int32', description: 'Fewest workers.' }),
    maxReplicas: z.int().min(1).max(1000).default(1).meta({ format: 'int32', description: 'Most workers.' }),
    targetInFlight: z.int().min(1).max(10_000).default(8).meta({
      format: 'int32',
      description: 'Requests under way that one worker shall have; the count of workers follows.',
    }),
    scaleUpWindowSeconds: z.int().min(1).max(600).default(5).meta({
      format: 'int32',
      description: 'Requests under way are averaged over this time before workers are added.',
    }),
    scaleDownWindowSeconds: z.int().min(1).max(86_400).default(300).meta({
      format: 'int32',
      description: 'Workers are removed when none of the averages of this time asked for more.',
    }),
    idleSeconds: z.int().min(1).max(86_400).default(300).meta({
      format: 'int32',
      description: 'With minReplicas 0: the last workers go after this time without a request.',
    }),
    holdSeconds: z.int().min(0).max(3600).default(60).meta({
      format: 'int32',
      description:
        'How long gateways hold a request while the service has no ready worker and is scaled to zero or waking; its own deadline may be sooner. 0: such requests get 503 at once.',
    }),
  })
  .meta(
    rules({
      rule: 'self.minReplicas <= self.maxReplicas',
      message: 'minReplicas must not be greater than maxReplicas',
    }),
  )

const accessSchema = z.object({
  serviceAccounts: z
    .array(
      z.object({
        namespace: dnsLabel.meta({ description: 'Namespace of the service account.' }),
        name: dnsSubdomain.meta({ description: 'Name of the service account.' }),
      }),
    )
    .max(64)
    .optional()
    .meta({
      description: 'Service accounts of this cluster that may call the service.',
      ...listMap('namespace', 'name'),
    }),
  oidc: z
    .array(
      z
        .object({
          issuerName: dnsLabel.meta({ description: 'Name of an issuer that the cluster admin set for the gateway.' }),
          subjects: z
            .array(z.string().min(1).max(256))
            .max(64)
            .optional()
            .meta({ description: 'Accepted `sub` claims.', 'x-kubernetes-list-type': 'set' }),
          groups: z
            .array(z.string().min(1).max(256))
            .max(64)
            .optional()
            .meta({ description: 'Accepted entries of the `groups` claim.', 'x-kubernetes-list-type': 'set' }),
        })

        .meta(
          rules({
            rule: '(has(self.subjects) && size(self.subjects) > 0) || (has(self.groups) && size(self.groups) > 0)',
            message: 'an oidc entry must name at least one subject or group',
          }),
        ),
    )
    .max(16)
    .optional()
    .meta({
      description: 'People and programs with a token of an outside issuer.',
      ...listMap('issuerName'),
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
  held: z.int().min(1).max(10_000).default(500).meta({
    format: 'int32',
    description: 'Requests that one gateway holds while the service wakes; more get 429.',
  }),
})

const permille = z.int().min(0).max(1000)

const batchingSchema = z.object({
  maxSize: z
    .int()
    .min(2)
    .max(1024)
    .meta({ format: 'int32', description: 'Most rows (sum of the first dimensions) in one run of the model.' }),
  maxDelayMilliseconds: z.int().min(0).max(1000).default(2).meta({
    format: 'int32',
    description: 'How long a request may wait for others while a session is idle.',
  }),
})

const rolloutSchema = z
  .object({
    strategy: z.enum(['Replace', 'Canary']).default('Replace').meta({
      description:
        'Replace: traffic moves at once when all new workers are ready. Canary: it moves by steps, and back by itself when the new revision does worse.',
    }),
    paused: z.boolean().default(false).meta({ description: 'true holds a canary at its step.' }),
    steps: z
      .array(
        z.object({
          percent: z.int().min(0).max(99).meta({
            format: 'int32',
            description: 'Share of the requests; 0 sends mirrored requests only.',
          }),
          seconds: z.int().min(1).max(604_800).meta({ format: 'int32', description: 'How long the step lasts.' }),
        }),
      )
      .min(1)
      .max(16)
      .default([
        { percent: 5, seconds: 60 },
        { percent: 25, seconds: 60 },
        { percent: 50, seconds: 60 },
      ])
      .meta({
        description: 'Steps of a canary; after the last one it is promoted.',
        'x-kubernetes-list-type': 'atomic',
      }),
    analysis: z
      .object({
        windowSeconds: z.int().min(2).max(3600).default(30).meta({
          format: 'int32',
          description: 'Requests of this time are compared.',
        }),
        minRequests: z.int().min(1).max(1_000_000).default(20).meta({
          format: 'int32',
          description: 'Fewer requests of the new revision in the window prove nothing; a step does not end before.',
        }),
        maxErrorPermille: permille.default(10).meta({
          format: 'int32',
          description: 'How much larger the share of failed requests may be than with the old revision, in per mille.',
        }),
        maxLatencyPermille: z.int().min(1000).max(1_000_000).default(2000).meta({
          format: 'int32',
          description: 'How large the 90th percentile of the latency may be against the old revision: 2000 is twice.',
        }),
      })
      .default({ windowSeconds: 30, minRequests: 20, maxErrorPermille: 10, maxLatencyPermille: 2000 })
      .meta({ description: 'When a canary is rolled back.' }),
    mirror: z
      .object({
        permille: permille.min(1).meta({
          format: 'int32',
          description: 'Share of the requests of the old revision that are also sent to the new one.',
        }),
        tolerance: z
          .string()
          .max(16)
          .regex(/^[0-9]+(\.[0-9]+)?$/)
          .default('0.001')
          .meta({ description: 'Largest difference of two numbers that agree: |a - b| <= tolerance * max(1, |a|).' }),
        maxDisagreementPermille: permille.default(10).meta({
          format: 'int32',
          description: 'More disagreeing answers than this share roll the canary back.',
        }),
      })
      .optional()
      .meta({ description: 'Compare the answers of both revisions on a sample; users get the old one.' }),
  })
  .meta(
    rules({
      rule: 'self.steps.map(step, step.percent).isSorted()',
      message: 'steps must not go back to a smaller percent',
    }),
  )

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
      .object({ name: objectName.meta({ description: 'Name of the Model.' }) })
      .meta({ description: 'Model of the same namespace.' }),
    scaling: scalingSchema
      .default({
        mode: 'Hansa',
        minReplicas: 1,
        maxReplicas: 1,
        targetInFlight: 8,
        scaleUpWindowSeconds: 5,
        scaleDownWindowSeconds: 300,
        idleSeconds: 300,
        holdSeconds: 60,
      })
      .meta({ description: 'How many workers run.' }),
    replicas: z.int().min(0).max(1000).optional().meta({
      format: 'int32',
      description: 'Wanted workers in scaling mode External; the scale subresource writes it.',
    }),
    resources: resourcesSchema.default({}).meta({ description: 'Resources of one worker.' }),
    nodeSelector: boundedRecord(labelValue, 32)
      .optional()
      .meta({
        description: 'Labels that the node must have.',
        ...rules({
          rule: "self.all(key, size(key) <= 316 && key.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",
          message: 'nodeSelector must have label keys such as kubernetes.io/arch',
        }),
      }),
    tolerations: z
      .array(tolerationSchema)
      .max(32)
      .optional()
      .meta({ description: 'Taints that workers tolerate.', 'x-kubernetes-list-type': 'atomic' }),
    runtimeClassName: dnsSubdomain.optional().meta({ description: 'RuntimeClass of the worker pods.' }),
    executionProvider: executionProviderSchema
      .default({ type: 'Auto', onUnavailable: 'Fail' })
      .meta({ description: 'ONNX Runtime execution provider.' }),
    timeouts: timeoutsSchema
      .default({ requestSeconds: 60, loadSeconds: 600, drainSeconds: 30 })
      .meta({ description: 'Time limits.' }),
    limits: limitsSchema
      .default({ requestBytes: 67_108_864, responseBytes: 67_108_864, queueDepth: 100, inFlight: 1000, held: 500 })
      .meta({ description: 'Size and count limits.' }),
    sessions: z.int().min(1).max(64).optional().meta({
      format: 'int32',
      description:
        'Session processes in one worker, each with the whole model; where it is not set as many as CPUs and memory allow, and one on a GPU.',
    }),
    batching: batchingSchema.optional().meta({
      description:
        'Runs requests of compatible shapes together. Only for models whose first dimension is a batch axis; off where it is not set.',
    }),
    rollout: rolloutSchema
      .default({
        strategy: 'Replace',
        paused: false,
        steps: [
          { percent: 5, seconds: 60 },
          { percent: 25, seconds: 60 },
          { percent: 50, seconds: 60 },
        ],
        analysis: { windowSeconds: 30, minRequests: 20, maxErrorPermille: 10, maxLatencyPermille: 2000 },
      })
      .meta({ description: 'How a new revision takes over.' }),
    access: accessSchema.default({}).meta({
      description: 'Who may call the service, beside the AccessKeys that name it; empty: nobody else.',
    }),
    placement: placementSchema
      .optional()
      .meta({ description: 'Where workers run, beside this cluster or instead of it.' }),
    dataClass: dataClass.optional().meta({
      description: 'Raises the data class above that of the namespace (label hansa.dev/data-class); never lowers it.',
    }),
    priorityClassName: dnsSubdomain.optional().meta({ description: 'PriorityClass of the worker pods.' }),
    queueName: dnsLabel.optional().meta({
      description: 'LocalQueue of Kueue that the worker pods wait in, where Kueue is installed.',
    }),
    suspend: z
      .boolean()
      .default(false)
      .meta({ description: 'true removes the workers and changes nothing else until it is false again.' }),
  })
  .meta(
    rules(
      {
        rule: "!has(self.replicas) || self.scaling.mode == 'External'",
        message:
          'replicas must not be set unless scaling.mode is External; in mode Hansa set scaling.minReplicas and scaling.maxReplicas',
      },
      {
        rule: "has(self.replicas) || self.scaling.mode != 'External'",
        message: 'replicas must be set when scaling.mode is External; it is the count to start with',
      },
      {
        rule: "self.executionProvider.type != 'CUDA' || self.executionProvider.onUnavailable == 'UseCPU' || (has(self.resources.limits) && self.resources.limits.exists(name, name.startsWith('nvidia.com/')))",
        message:
          'resources.limits must hold a GPU such as nvidia.com/gpu when executionProvider.type is CUDA, unless executionProvider.onUnavailable is UseCPU',
      },
    ),
  )

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
      ...listMap('revision'),
    }),
  desiredReplicas: z
    .int()
    .min(0)
    .optional()
    .meta({ format: 'int32', description: 'Workers that are wanted now, as spec and demand say.' }),
  owners: z
    .array(
      z.object({
        peer: peerName.meta({ description: 'Name of the Peer.' }),
        remoteWork: z.string().max(253).optional().meta({ description: 'RemoteWork by which it was asked.' }),
        wanted: z.int().min(0).meta({ format: 'int32', description: 'Workers that are wanted there.' }),
        replicas: z.int().min(0).optional().meta({ format: 'int32', description: 'Workers that exist there.' }),
        readyReplicas: z
          .int()
          .min(0)
          .optional()
          .meta({ format: 'int32', description: 'Workers that are ready there.' }),
        answer: z.enum(['Pending', 'Granted', 'Refused', 'Ended']).meta({ description: "The peer's answer." }),
        lease: z
          .enum(['None', 'Active', 'Uncertain', 'Ended'])
          .meta({ description: 'Uncertain: the peer is not heard of; its workers may run until the lease is over.' }),
        reason: z.string().max(128).optional().meta({ description: 'Why it is not ready, one CamelCase word.' }),
        message: z.string().max(2048).optional().meta({ description: 'Why it is not ready, for people.' }),
        refusals: z.array(refusalSchema).max(32).optional().meta({
          description: 'All reasons of a refusal.',
          'x-kubernetes-list-type': 'atomic',
        }),
      }),
    )
    .max(32)
    .optional()
    .meta({ description: 'How it stands at each peer of spec.placement.', ...listMap('peer') }),
  candidates: z
    .array(placementCandidateSchema)
    .max(8)
    .optional()
    .meta({
      description:
        'The best owners for its workers, this cluster (`own`) among them; all are in `kubectl hansa explain`.',
      ...listMap('owner'),
    }),
  rollout: z
    .object({
      revision: z.string().max(64).meta({ description: 'Revision that is being tried, or was rolled back.' }),
      state: z.enum(['Progressing', 'Paused', 'RolledBack']).meta({ description: 'Where the rollout stands.' }),
      step: z.int().min(0).max(16).meta({ format: 'int32', description: 'Index of the current step.' }),
      stepStartedTime: z.string().meta({ format: 'date-time', description: 'When the step began.' }),
      message: z.string().max(1024).optional().meta({
        description: 'Why it was rolled back, with figures; while it progresses, the figures of the step before.',
      }),
      orders: z.array(z.string().max(160)).max(8).optional().meta({
        description: 'Orders (annotations hansa.dev/rollout-*) that were there at its start or end, and count no more.',
        'x-kubernetes-list-type': 'atomic',
      }),
    })
    .optional()
    .meta({ description: 'A canary under way or rolled back; absent when the latest revision has all traffic.' }),
  conditions: z
    .array(conditionSchema)
    .max(16)
    .optional()
    .meta({
      description:
        '`ModelVerified`, `WorkersReady`, `Routable`, and `Ready` as their sum; `RolledOut`, `PeersReady` and `Decentralized` apart from them.',
      ...listMap('type'),
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
  batching: batchingSchema.optional(),
  embedding: embeddingSchema.optional(),
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
