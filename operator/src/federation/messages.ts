import { z } from 'zod'
import {
  currency,
  micros,
  nonce,
  ownerId,
  publicKey,
  requestId,
  sequence,
  sha256,
  trustDomain,
  workload,
} from '../api/owner-scalars.ts'
import { refusalSchema, workSchema } from '../api/remote-work.ts'
import { dnsLabel } from '../api/scalar.ts'

/** What a key may sign. The root key signs bundles and rotations; role keys, which bundles name, sign all else. */
export const roles = ['Request', 'Grant', 'Receipt', 'Round', 'Ballot'] as const
export type Role = (typeof roles)[number]

const dateTime = z.string().max(40)
const cluster = z.object({ trustDomain, clusterName: dnsLabel })

/** Fields of every message: who says it to whom, in which order, until when it may be taken. */
const header = {
  /** Version of the message's form; readers refuse what they do not know. */
  version: z.literal(1),
  issuer: cluster,
  audience: cluster,
  /** Grows with every message of this kind about this request (or this peer, where there is no request). */
  sequence,
  issued: dateTime,
  /** The receiver's link refuses a message after it; what was taken in time stays valid. */
  expires: dateTime,
}

/** Root-signed: by which certificates and role keys a cluster of an owner is known now. No audience: all peers get the same. */
export const bundleSchema = z.object({
  version: z.literal(1),
  ownerId,
  clusterName: dnsLabel,
  trustDomain,
  /** The root key that signs this bundle. */
  rootKey: publicKey,
  /** From the first root key to this one: each next key, signed by the one before (envelopes of type rotation). */
  rotations: z.array(z.string().max(8192)).max(8),
  sequence,
  issued: dateTime,
  notAfter: dateTime,
  /** Certificates (PEM) that may issue those of link and gateway; more than one while one replaces another. */
  authorities: z.array(z.string().max(8192)).min(1).max(4),
  roleKeys: z
    .array(z.object({ role: z.enum(roles), keyId: z.string().max(32), publicKey, notAfter: dateTime }))
    .max(32),
  /** Serial numbers (hex) of certificates and ids of keys that must not be accepted any more. */
  revoked: z.array(z.string().max(64)).max(1024),
  /** The whole identity is given up: nothing of it may be accepted, whatever comes later. */
  revokedAll: z.boolean(),
  contact: z.string().max(256).optional(),
  address: z.string().max(259).optional(),
  dataAddress: z.string().max(259).optional(),
})

/** Signed by the old root key: the next root key of the same owner. */
export const rotationSchema = z.object({
  version: z.literal(1),
  trustDomain,
  oldKey: publicKey,
  newKey: publicKey,
  issued: dateTime,
})

/** Role Request. Asks the audience to run work. */
export const requestSchema = z.object({ ...header, requestId, work: workSchema })

/** Role Request. Answers a RenewalAsk. */
export const renewalSchema = z.object({ ...header, requestId, epoch: sequence, nonce })

/** Role Request. Ends the work; also taken when no request of that id is known. */
export const cancelSchema = z.object({ ...header, requestId, reason: z.string().max(256) })

/** Role Grant. The decision; each later one replaces it. */
export const answerSchema = z.object({
  ...header,
  requestId,
  /** SHA-256 of the request's payload that was decided. */
  requestSha256: sha256,
  decision: z.enum(['Pending', 'Granted', 'Refused', 'Ended']),
  refusals: z.array(refusalSchema).max(32),
  lease: z
    .object({
      /** Fencing number: larger than any that the executor gave to this requester before. */
      epoch: sequence,
      /** Copy of the request's. */
      attempt: z.int().min(1),
      ttlSeconds: z.int().min(1).max(86_400),
      /** Incarnation of the executor's state. */
      incarnation: sequence,
      price: z.object({ currency, microsPerGPUHour: micros }).optional(),
    })
    .optional(),
})

/** Role Grant. Asks for a renewal; the executor stops `ttlSeconds` after sending it unless it is answered. */
export const renewalAskSchema = z.object({ ...header, requestId, epoch: sequence, nonce, ttlSeconds: z.int().min(1) })

/** Role Grant. How the work stands. */
export const reportSchema = z.object({
  ...header,
  requestId,
  epoch: sequence,
  replicas: z.int().min(0),
  readyReplicas: z.int().min(0),
  gpuSeconds: z.int().min(0),
  reason: z.string().max(128),
  message: z.string().max(1024),
})

/** Role Grant. What the executor offers to the audience now, in bands; no promise. */
export const offerSchema = z.object({
  ...header,
  offers: z
    .array(
      z.object({
        workloads: z.array(workload).min(1).max(2),
        gpuModel: z.string().max(63),
        /** Free GPUs: none, 1-3, 4-15, 16 and more. */
        free: z.enum(['None', 'Few', 'Some', 'Many']),
        dataClasses: z.array(z.string().max(16)).max(4),
        price: z.object({ currency, microsPerGPUHour: micros }).optional(),
        /** When the window that is open closes, or the next one opens. */
        opens: dateTime.optional(),
        closes: dateTime.optional(),
      }),
    )
    .max(32),
})

/** Role Grant. What we have seen of the audience: after a restore it must not use these numbers again. */
export const confirmationSchema = z.object({
  ...header,
  /** Highest epoch that the audience granted to us. */
  epoch: sequence,
  /** Incarnation of the audience: the number that we give its state for the question `answers`; larger than any before. */
  incarnation: sequence,
  /** Incarnation of the issuer's own state, as far as it knows; what it is given next must be larger. */
  ownIncarnation: sequence.optional(),
  /** The audience's question that this answers: `asks` of its own confirmation. */
  answers: nonce.optional(),
  /** Ours, new with each start of our operator. */
  asks: nonce,
})

/**
 * Role Receipt. What the executor says it did under one grant since its last claim: the receipts by the root of their tree, and the time
 * that workers were reserved. Claims of a grant are a chain, so that none is lost, sent twice, or replaced.
 */
export const claimSchema = z.object({
  ...header,
  requestId,
  epoch: sequence,
  /** 1 for the first claim of this grant and epoch; `previous` is the SHA-256 of the payload of the one before. */
  number: sequence.min(1),
  previous: sha256.optional(),
  /** The minute that it is about, RFC 3339; receipts that came late count in the claim in which they are. */
  from: dateTime,
  until: dateTime,
  /** RFC 6962 root of the receipts' leaf hashes, in ascending order of the hashes. */
  root: sha256,
  count: z.int().min(0).max(1_000_000),
  units: z.object({
    requests: z.int().min(0),
    inputTokens: z.int().min(0),
    outputTokens: z.int().min(0),
    requestBytes: z.int().min(0),
    responseBytes: z.int().min(0),
    /** Milliseconds of GPUs that were busy with these requests. */
    busyGPUMilliseconds: z.int().min(0),
    /** GPU seconds that workers were there for the grant, busy or not; this is what costs. */
    reservedGPUSeconds: z.int().min(0),
  }),
  price: z.object({ currency, microsPerGPUHour: micros }).optional(),
  /** Cost of this claim: reservedGPUSeconds at the price, rounded down. */
  micros,
  /** The last claim of the grant. */
  final: z.boolean(),
})

/** Role Receipt. What the requester says to a claim. */
export const settlementSchema = z.object({
  ...header,
  requestId,
  epoch: sequence,
  number: sequence.min(1),
  /** SHA-256 of the payload of the claim that is settled. */
  claimSha256: sha256,
  state: z.enum(['Agreed', 'Disputed']),
  /** Of a dispute: everything that is wrong. */
  disputes: z
    .array(
      z.object({
        reason: z.string().min(1).max(64),
        message: z.string().max(512),
        /** Leaf hash of the receipt that it is about. */
        leaf: sha256.optional(),
      }),
    )
    .max(64),
})

/** Role Receipt, to nobody in particular, since everybody must be told the same: the head of the issuer's log. */
export const checkpointSchema = z.object({
  version: z.literal(1),
  issuer: cluster,
  size: sequence,
  /** RFC 6962 root of the log at that size. */
  root: sha256,
  issued: dateTime,
})

/** Role Receipt. A witness has seen this checkpoint, and that it goes on from the one that it saw before. */
export const cosignatureSchema = z.object({
  ...header,
  /** Of whose log. */
  log: cluster,
  size: sequence,
  root: sha256,
})

/** Role Grant. We left or froze the audience. */
export const goodbyeSchema = z.object({ ...header, state: z.enum(['Left', 'Frozen', 'Back']) })

const type = (name: string) => `application/vnd.hansa.${name}.v1+json` as const

/** Every message: its DSSE payload type, its form, who signs it. */
export const messageKinds = {
  Bundle: { payloadType: type('bundle'), schema: bundleSchema, signedBy: 'Root' },
  Rotation: { payloadType: type('rotation'), schema: rotationSchema, signedBy: 'Root' },
  Request: { payloadType: type('request'), schema: requestSchema, signedBy: 'Request' },
  Renewal: { payloadType: type('renewal'), schema: renewalSchema, signedBy: 'Request' },
  Cancel: { payloadType: type('cancel'), schema: cancelSchema, signedBy: 'Request' },
  Answer: { payloadType: type('answer'), schema: answerSchema, signedBy: 'Grant' },
  RenewalAsk: { payloadType: type('renewal-ask'), schema: renewalAskSchema, signedBy: 'Grant' },
  Report: { payloadType: type('report'), schema: reportSchema, signedBy: 'Grant' },
  Offer: { payloadType: type('offer'), schema: offerSchema, signedBy: 'Grant' },
  Confirmation: { payloadType: type('confirmation'), schema: confirmationSchema, signedBy: 'Grant' },
  Goodbye: { payloadType: type('goodbye'), schema: goodbyeSchema, signedBy: 'Grant' },
  Claim: { payloadType: type('claim'), schema: claimSchema, signedBy: 'Receipt' },
  Settlement: { payloadType: type('settlement'), schema: settlementSchema, signedBy: 'Receipt' },
  Cosignature: { payloadType: type('cosignature'), schema: cosignatureSchema, signedBy: 'Receipt' },
} as const satisfies Record<string, { payloadType: string; schema: z.ZodType; signedBy: Role | 'Root' }>

export type MessageKind = keyof typeof messageKinds
export type MessageOf<K extends MessageKind> = z.infer<(typeof messageKinds)[K]['schema']>
/** Payload type of a checkpoint, which has no audience and is opened by the ledger's own code. */
export const checkpointPayloadType = type('checkpoint')

export type Bundle = z.infer<typeof bundleSchema>
export type Checkpoint = z.infer<typeof checkpointSchema>
