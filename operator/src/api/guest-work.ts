import { z } from 'zod'
import { envelopeText, leasePrice, peerName, requestId, sequence, sha256 } from './owner-scalars.ts'
import { deliveries, mailbox, refusalSchema } from './remote-work.ts'
import { type CustomResource, conditionSchema } from './resource.ts'
import { listMap, rules } from './rule.ts'
import { boundedRecord, dnsLabel, objectName, quantity } from './scalar.ts'

const incoming = ['Renewal', 'Cancel'] as const
const outgoing = ['Answer', 'RenewalAsk', 'Report'] as const

export const guestWorkSpecSchema = z
  .object({
    peerRef: z
      .object({ name: peerName.meta({ description: 'Name of the Peer whose certificate the link saw.' }) })
      .meta({ description: 'Who asks.' }),
    requestId: requestId.meta({ description: 'Id of the request: uid of the RemoteWork there.' }),
    request: envelopeText.meta({ description: 'The signed request, as it came.' }),
  })
  .meta(rules({ rule: 'self == oldSelf', message: 'spec must not change' }))

export const guestWorkStatusSchema = z.object({
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .meta({ format: 'int64', description: 'Generation that the status is for.' }),
  inbox: mailbox(incoming, 'Further messages of the requester as they came; the link writes them.'),
  outbox: mailbox(outgoing, 'Signed messages for the link to deliver; the operator writes them.'),
  delivered: deliveries(outgoing),
  requestSha256: sha256.optional().meta({ description: 'SHA-256 of the payload of the request that was decided.' }),
  decision: z.enum(['Pending', 'Granted', 'Refused', 'Ended']).optional().meta({ description: 'What we decided.' }),
  refusals: z
    .array(refusalSchema)
    .max(32)
    .optional()
    .meta({ description: 'All reasons, as the requester sees them.', 'x-kubernetes-list-type': 'atomic' }),
  policyName: objectName.optional().meta({ description: 'SharePolicy that granted it.' }),
  lease: z
    .object({
      epoch: sequence.meta({
        format: 'int64',
        description: 'Fencing number, larger than any given to this peer before.',
      }),
      ttlSeconds: z.int().min(1).meta({ format: 'int32', description: 'Time to live without renewal.' }),
      grantedTime: z.string().max(40).meta({ format: 'date-time', description: 'When it was granted.' }),
      expiresTime: z.string().max(40).meta({
        format: 'date-time',
        description: 'When it is over without another renewal, by our clock; written with each renewal.',
      }),
      nonce: z.string().max(43).optional().meta({ description: 'Nonce of the renewal that is asked for.' }),
      renewals: sequence.meta({ format: 'int64', description: 'Renewals so far.' }),
      price: leasePrice.optional().meta({ description: 'What it costs, as it was granted; free where it is not set.' }),
    })
    .optional()
    .meta({ description: 'The lease.' }),
  local: z
    .object({
      namespace: dnsLabel.meta({ description: 'Namespace of the objects.' }),
      inferenceServiceName: objectName.optional().meta({ description: 'InferenceService that we made.' }),
      modelNames: z
        .array(objectName)
        .max(4)
        .optional()
        .meta({ description: 'Models that we made.', 'x-kubernetes-list-type': 'set' }),
    })
    .optional()
    .meta({ description: 'Objects that we made for it.' }),
  reserved: boundedRecord(quantity, 16)
    .optional()
    .meta({ description: 'What all its workers together reserve; it counts against the quota while they exist.' }),
  replicas: z.int().min(0).optional().meta({ format: 'int32', description: 'Workers that exist.' }),
  readyReplicas: z.int().min(0).optional().meta({ format: 'int32', description: 'Workers that are ready.' }),
  gpuSeconds: z
    .int()
    .min(0)
    .optional()
    .meta({ format: 'int64', description: 'GPU seconds used, from the start of each pod to its end.' }),
  meteredTime: z.string().max(40).optional().meta({ format: 'date-time', description: 'Up to when they are counted.' }),
  veto: z
    .object({
      action: z.enum(['Stop', 'Preempt', 'Freeze']).meta({ description: 'What was done.' }),
      message: z.string().max(512).meta({ description: 'Why; the requester sees it.' }),
      time: z.string().max(40).meta({ format: 'date-time', description: 'When.' }),
    })
    .optional()
    .meta({ description: 'Order of our admin or policy that ended it.' }),
  conditions: z
    .array(conditionSchema)
    .max(16)
    .optional()
    .meta({ description: '`Authentic`, `Granted`, `Running`, and `Ready` as their sum.', ...listMap('type') }),
})

export type GuestWorkSpec = z.infer<typeof guestWorkSpecSchema>
export type GuestWorkStatus = z.infer<typeof guestWorkStatusSchema>
export type GuestWork = CustomResource<GuestWorkSpec, GuestWorkStatus>

/** Annotation by which an admin ends guest work at once: `stop: REASON` or `preempt: REASON`. `kubectl hansa guest stop` sets it. */
export const vetoAnnotation = 'hansa.dev/veto'
