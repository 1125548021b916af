import { z } from 'zod'
import { currency, dataClass, micros, peerName, purpose, sha256, workload } from './owner-scalars.ts'
import { type CustomResource, conditionSchema } from './resource.ts'
import { listMap, rules } from './rule.ts'
import { boundedRecord, dnsLabel, dnsSubdomain, objectName, quantity } from './scalar.ts'

export const weekdays = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'] as const

const clockTime = z
  .string()
  .max(5)
  .regex(/^([01][0-9]|2[0-3]):[0-5][0-9]$/)

export const windowSchema = z.object({
  name: objectName.meta({ description: 'Name of the window.' }),
  timeZone: z
    .string()
    .min(1)
    .max(64)
    .regex(/^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/)
    .meta({ description: 'IANA time zone, such as Europe/Berlin.' }),
  days: z.array(z.enum(weekdays)).min(1).max(7).optional().meta({
    description: 'Days on which the window begins; every day where it is not set.',
    'x-kubernetes-list-type': 'set',
  }),
  start: clockTime.meta({ description: 'Beginning, HH:MM of that zone.' }),
  end: clockTime.meta({ description: 'End, HH:MM; not later than start: on the next day. Equal: the whole day.' }),
})

export const priceSchema = z.object({
  currency: currency.meta({ description: 'Currency.' }),
  microsPerGPUHour: micros
    .default(0)
    .meta({ format: 'int64', description: 'Price of a GPU for an hour, in millionths of the currency.' }),
})

export const sharePolicySpecSchema = z
  .object({
    peers: z
      .array(z.object({ name: peerName.meta({ description: 'Name of a Peer.' }) }))
      .min(1)
      .max(64)
      .meta({ description: 'Who may ask.', ...listMap('name') }),
    workloads: z
      .array(workload)
      .min(1)
      .max(2)
      .meta({ description: 'What may be asked for.', 'x-kubernetes-list-type': 'set' }),
    targetNamespace: dnsLabel.meta({
      description:
        'Namespace that guest work runs in, made by the cluster admin for this alone and labelled pod-security.kubernetes.io/enforce: restricted.',
    }),
    windows: z
      .array(windowSchema)
      .max(32)
      .optional()
      .meta({
        description: 'When guests may run; always where it is not set. Leases end with the window.',
        ...listMap('name'),
      }),
    availability: z.enum(['Always', 'IdleOnly']).default('IdleOnly').meta({
      description:
        'IdleOnly: only what no pending pod of our own could use, and guests are drained when one comes that could.',
    }),
    priorityClassName: dnsSubdomain
      .default('hansa-guest')
      .meta({ description: 'PriorityClass of guest pods; its value must be below that of our own pods.' }),
    quota: boundedRecord(quantity, 16).meta({
      description: 'Most that guests may have at once: cpu, memory, nvidia.com/gpu ...',
    }),
    maxLeases: z.int().min(1).max(1000).default(16).meta({ format: 'int32', description: 'Most leases at once.' }),
    maxLeaseSeconds: z.int().min(5).max(86_400).default(1800).meta({
      format: 'int32',
      description: 'How long a lease lasts without renewal: how long guests go on when the link is cut.',
    }),
    drainTimeoutSeconds: z.int().min(0).max(3600).default(60).meta({
      format: 'int32',
      description: 'How long guests may finish requests when their lease is ended.',
    }),
    dataClasses: z
      .array(dataClass)
      .min(1)
      .max(4)
      .meta({ description: 'Data classes that may be worked on here.', 'x-kubernetes-list-type': 'set' }),
    purposes: z.array(purpose).max(64).optional().meta({
      description: 'Accepted purposes; any where it is not set.',
      'x-kubernetes-list-type': 'set',
    }),
    modelDigests: z.array(sha256).max(256).optional().meta({
      description: 'SHA-256 of the model files that may run; any where it is not set.',
      'x-kubernetes-list-type': 'set',
    }),
    price: priceSchema.optional().meta({ description: 'What it costs; free where it is not set.' }),
    queueName: dnsLabel.optional().meta({
      description:
        'LocalQueue of Kueue in the target namespace; its label is set on guest pods, and Kueue then decides too.',
    }),
    offer: z.enum(['Hidden', 'Bands']).default('Bands').meta({
      description: 'Bands: the peers of this policy are told in bands how many GPUs are free.',
    }),
    suspend: z
      .boolean()
      .default(false)
      .meta({ description: 'true accepts nothing new and ends the leases of this policy.' }),
  })
  .meta(
    rules(
      {
        rule: "self.availability != 'IdleOnly' || self.priorityClassName != ''",
        message: 'IdleOnly must have a priorityClassName, so that our own pods can evict guests',
      },
      {
        rule: 'self.targetNamespace == oldSelf.targetNamespace',
        message: 'targetNamespace must not change, for guests run there; make another SharePolicy',
      },
    ),
  )

export const sharePolicyStatusSchema = z.object({
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .meta({ format: 'int64', description: 'Generation that the status is for.' }),
  leases: z.int().min(0).optional().meta({ format: 'int32', description: 'Leases that are granted now.' }),
  used: boundedRecord(quantity, 16).optional().meta({ description: 'What those leases may use, by resource.' }),
  conditions: z
    .array(conditionSchema)
    .max(16)
    .optional()
    .meta({ description: '`Ready`: requests of its peers are decided by it.', ...listMap('type') }),
})

export type Window = z.infer<typeof windowSchema>
export type SharePolicySpec = z.infer<typeof sharePolicySpecSchema>
export type SharePolicyStatus = z.infer<typeof sharePolicyStatusSchema>
export type SharePolicy = CustomResource<SharePolicySpec, SharePolicyStatus>
