import { z } from 'zod'
import { objectName } from '../api/scalar.ts'
import { receiptSchema } from './receipt.ts'

const name = z.string().max(512)
const { shape } = receiptSchema
const salt = z
  .string()
  .max(22)
  .regex(/^[A-Za-z0-9_-]{22}$/)
/** When the gateway wrote it, by its clock. */
const at = z.int().min(0)

/** What a gateway writes into its spool and its ledger takes: see `ReceiptBook`. */
export const recordSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('Served'), at, peer: objectName, receipt: receiptSchema, salt }),
  z.strictObject({
    kind: z.literal('Sent'),
    at,
    peer: objectName,
    request: z.strictObject({
      id: shape.id,
      requestId: shape.requestId,
      epoch: shape.epoch,
      model: shape.model,
      caller: shape.caller,
      dataClass: shape.dataClass,
      purpose: shape.purpose,
      salt,
      callerName: name,
      namespace: z.string().max(63),
      service: z.string().max(253),
    }),
  }),
  z.strictObject({
    kind: z.literal('Seen'),
    at,
    peer: objectName,
    answer: z.strictObject({
      id: shape.id,
      requestId: shape.requestId,
      epoch: shape.epoch,
      request: shape.request,
      response: shape.response,
      requestBytes: shape.requestBytes,
      responseBytes: shape.responseBytes,
      status: shape.status,
      receipt: receiptSchema.optional(),
      whole: z.boolean(),
    }),
  }),
])
export type LedgerRecord = z.infer<typeof recordSchema>

/** Most records of one batch, and most bytes of its body. */
export const batchLimits = { records: 500, bytes: 512 * 1024 }

/** Body of `POST /v1/records`. */
export const batchSchema = z.strictObject({
  /** Id of the spool. */
  gateway: z.string().regex(/^[0-9a-f]{32}$/),
  /** Position of the first record; a spool's positions only grow, with gaps between its starts. */
  first: z.int().min(0),
  /** Records before this position were taken by the ledger, as the spool knows: a ledger that does not know them is an old one. */
  taken: z.int().min(0).default(0),
  records: z.array(recordSchema).max(batchLimits.records),
})
export type RecordBatch = z.infer<typeof batchSchema>

/** Answer to it: the position that is expected next, and grants under which nothing may be done until claims are agreed. */
export const batchAnswerSchema = z.object({
  next: z.int().min(0),
  stopped: z.array(z.object({ peer: objectName, requestId: shape.requestId, epoch: shape.epoch })).max(10_000),
})
export type BatchAnswer = z.infer<typeof batchAnswerSchema>
