import { z } from 'zod'
import { embeddingSchema, modelFileSchema } from './model.ts'
import {
  currency,
  dataClass,
  envelopeText,
  leasePrice,
  micros,
  peerName,
  purpose,
  sequence,
  workload,
} from './owner-scalars.ts'
import { type CustomResource, conditionSchema } from './resource.ts'
import { listMap, rules } from './rule.ts'
import { boundedRecord, dnsSubdomain, objectName, quantity } from './scalar.ts'

/** Where the executor gets the model's files: a public source, or our gateway by digest. Never a credential. */
export const workModelSchema = z.object({
  name: objectName.meta({ description: 'Name of the Model here.' }),
  format: z.enum(['ONNX', 'TrainingBundle']).meta({ description: 'Format of the files.' }),
  files: z
    .array(modelFileSchema)
    .min(1)
    .max(256)
    .meta({ description: 'Files with digest and size.', ...listMap('path') }),
  entrypoint: z.string().max(255).optional().meta({ description: 'The .onnx file to load.' }),
  embedding: embeddingSchema.optional().meta({ description: 'How text becomes vectors.' }),
  licence: z.string().max(256).optional().meta({ description: 'Licence of the weights.' }),
  source: z.enum(['Requester', 'Https', 'OCI', 'HuggingFace']).default('Requester').meta({
    description: "Requester: by digest from our gateway. Else: from the Model's own source, without credentials.",
  }),
  publicSource: z
    .string()
    .max(4096)
    .optional()
    .meta({ description: "The Model's source as JSON, where `source` is not Requester." }),
})

/** What a request for Serve says of the workers; the executor decides image, command, environment and volumes. */
export const serveWorkSchema = z.object({
  modelName: objectName.optional().meta({
    description: 'What users call the model in paths and bodies: the name of the InferenceService that asks.',
  }),
  requestSeconds: z.int().min(1).max(3600).meta({ format: 'int32', description: 'Longest time for one request.' }),
  loadSeconds: z.int().min(1).max(7200).meta({ format: 'int32', description: 'Longest time to load the model.' }),
  drainSeconds: z.int().min(0).max(3600).meta({ format: 'int32', description: 'Time to finish requests.' }),
  requestBytes: z.int().min(1024).max(1_073_741_824).meta({ format: 'int64', description: 'Largest request.' }),
  responseBytes: z.int().min(1024).max(1_073_741_824).meta({ format: 'int64', description: 'Largest response.' }),
  queueDepth: z.int().min(1).max(10_000).meta({ format: 'int32', description: 'Requests that may wait in a worker.' }),
  executionProvider: z.enum(['Auto', 'CPU', 'CUDA']).meta({ description: 'ONNX Runtime execution provider.' }),
  batching: z
    .object({
      maxSize: z.int().min(2).max(1024).meta({ format: 'int32', description: 'Most rows in a run.' }),
      maxDelayMilliseconds: z.int().min(0).max(1000).meta({ format: 'int32', description: 'Longest wait.' }),
    })
    .optional()
    .meta({ description: 'Dynamic batching.' }),
})

/** What is asked of a peer: the same in RemoteWork and in the signed request. */
export const workSchema = z.object({
  workload: workload.meta({ description: 'Serve or Train.' }),
  purpose: purpose.meta({ description: 'What for; the executor may accept some purposes only.' }),
  dataClass: dataClass.meta({ description: 'Class of the data that it works on.' }),
  models: z
    .array(workModelSchema)
    .min(1)
    .max(4)
    .meta({ description: 'Models.', ...listMap('name') }),
  replicas: z.int().min(1).max(1000).meta({ format: 'int32', description: 'Workers.' }),
  resources: z
    .object({
      requests: boundedRecord(quantity, 16).optional().meta({ description: 'Requests of one worker.' }),
      limits: boundedRecord(quantity, 16).optional().meta({ description: 'Limits of one worker, GPUs too.' }),
    })
    .meta({ description: 'Resources of one worker.' }),
  serve: serveWorkSchema.optional().meta({ description: 'For workload Serve.' }),
  leaseSeconds: z
    .int()
    .min(5)
    .max(86_400)
    .meta({ format: 'int32', description: 'Wished time of a lease without renewal; the executor may give less.' }),
  maxPrice: z
    .object({
      currency: currency.meta({ description: 'Currency.' }),
      microsPerGPUHour: micros.meta({ format: 'int64', description: 'Most for a GPU hour, in millionths.' }),
    })
    .optional()
    .meta({ description: 'Without it only what is free is accepted.' }),
  attempt: z.int().min(1).max(1_000_000).default(1).meta({
    format: 'int32',
    description: 'Counts how often the same work was placed; results of an older attempt are refused.',
  }),
})

export const remoteWorkSpecSchema = z
  .object({
    peerRef: z
      .object({ name: peerName.meta({ description: 'Name of the Peer.' }) })
      .meta({ description: 'Who is asked.' }),
    work: workSchema.meta({ description: 'What is asked for.' }),
    cancelled: z
      .object({
        requestId: z.string().max(36).meta({ description: 'The request that is cancelled.' }),
        expires: z.string().max(40).meta({ format: 'date-time', description: 'When its lease is over in any case.' }),
        envelope: envelopeText.meta({ description: 'Signed cancellation.' }),
        sequence: sequence.optional().meta({ format: 'int64', description: 'Sequence of the cancellation.' }),
        egressPolicyName: dnsSubdomain
          .optional()
          .meta({ description: 'EgressPolicy whose spend limit it counts against until it is over.' }),
      })
      .optional()
      .meta({
        description:
          'Set on a tombstone: what is left of a deleted RemoteWork until the peer knows, or its lease is over.',
      }),
  })
  .meta(rules({ rule: 'self == oldSelf', message: 'spec must not change; make another RemoteWork' }))

const outgoing = ['Request', 'Renewal', 'Cancel'] as const
const incoming = ['Answer', 'RenewalAsk', 'Report'] as const

/** Newest signed message of each kind. */
export function mailbox<const K extends readonly [string, ...string[]]>(kinds: K, description: string) {
  return z
    .array(
      z.object({
        kind: z.enum(kinds).meta({ description: 'Kind of message.' }),
        sequence: sequence.meta({ format: 'int64', description: 'Sequence in the message.' }),
        envelope: envelopeText.meta({ description: 'The message, as it was signed.' }),
      }),
    )
    .max(kinds.length)
    .optional()
    .meta({ description, ...listMap('kind') })
}

/** How far messages of each kind were taken by the peer's link. */
export function deliveries<const K extends readonly [string, ...string[]]>(kinds: K) {
  return z
    .array(
      z.object({
        kind: z.enum(kinds).meta({ description: 'Kind of message.' }),
        sequence: sequence.meta({ format: 'int64', description: 'Highest sequence that the peer took.' }),
        refusal: z.string().max(1024).optional().meta({ description: "Why the peer's link does not take it." }),
      }),
    )
    .max(kinds.length)
    .optional()
    .meta({ description: 'What the peer has taken; the link writes it.', ...listMap('kind') })
}

/** One of all the reasons of a refusal. */
export const refusalSchema = z.object({
  reason: z.string().min(1).max(64).meta({ description: 'One CamelCase word.' }),
  message: z.string().max(1024).meta({ description: 'What to change, for people.' }),
})

export const remoteWorkStatusSchema = z.object({
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .meta({ format: 'int64', description: 'Generation that the status is for.' }),
  outbox: mailbox(outgoing, 'Signed messages for the link to deliver; the operator writes them.'),
  inbox: mailbox(incoming, 'Messages of the peer as they came; the link writes them, the operator checks them.'),
  delivered: deliveries(outgoing),
  egressPolicyName: dnsSubdomain
    .optional()
    .meta({ description: 'EgressPolicy that allows it, and whose spend limit it counts against.' }),
  answer: z
    .object({
      decision: z.enum(['Pending', 'Granted', 'Refused', 'Ended']).meta({ description: "The peer's decision." }),
      refusals: z
        .array(refusalSchema)
        .max(32)
        .optional()
        .meta({ description: 'All reasons of a refusal or of the end.', 'x-kubernetes-list-type': 'atomic' }),
      sequence: sequence.meta({ format: 'int64', description: 'Sequence of the answer.' }),
    })
    .optional()
    .meta({ description: 'Newest answer that was checked.' }),
  lease: z
    .object({
      epoch: sequence.meta({ format: 'int64', description: "The executor's fencing number." }),
      ttlSeconds: z.int().min(1).meta({ format: 'int32', description: 'Time to live without renewal.' }),
      signedTime: z
        .string()
        .max(40)
        .meta({ format: 'date-time', description: 'When we last signed a renewal, by our clock.' }),
      state: z.enum(['Active', 'Uncertain', 'Ended']).meta({
        description: 'Uncertain: the peer was not heard of in time; the work may run there until the lease is over.',
      }),
      price: leasePrice.optional().meta({ description: 'What it costs, as it was granted; free where it is not set.' }),
    })
    .optional()
    .meta({ description: 'The lease as far as we know.' }),
  replicas: z.int().min(0).optional().meta({ format: 'int32', description: 'Workers that exist there.' }),
  readyReplicas: z.int().min(0).optional().meta({ format: 'int32', description: 'Workers that are ready there.' }),
  gpuSeconds: z.int().min(0).optional().meta({ format: 'int64', description: 'GPU seconds that the peer metered.' }),
  conditions: z
    .array(conditionSchema)
    .max(16)
    .optional()
    .meta({ description: '`Delivered`, `Granted`, `Running`, and `Ready` as their sum.', ...listMap('type') }),
})

export type Work = z.infer<typeof workSchema>
export type WorkModel = z.infer<typeof workModelSchema>
export type ServeWork = z.infer<typeof serveWorkSchema>
export type Refusal = z.infer<typeof refusalSchema>
export type RemoteWorkSpec = z.infer<typeof remoteWorkSpecSchema>
export type RemoteWorkStatus = z.infer<typeof remoteWorkStatusSchema>
export type RemoteWork = CustomResource<RemoteWorkSpec, RemoteWorkStatus>
export type ToExecutor = (typeof outgoing)[number]
export type ToRequester = (typeof incoming)[number]
