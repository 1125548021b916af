import { z } from 'zod'
import { envelopeText, requestId, sequence, sha256 } from '../../api/owner-scalars.ts'
import { receiptSchema } from '../receipt.ts'

/** Receipts of one page: far below a mebibyte. */
export const receiptsPerPage = 500

/** What one ledger asks another; every envelope is checked by whoever takes it. */
export const questionSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('Claim'), envelope: envelopeText }),
  /** Receipts of a claim that the asked one made, behind the leaf hash `after`. */
  z.strictObject({
    kind: z.literal('Receipts'),
    requestId,
    epoch: sequence,
    number: sequence.min(1),
    after: sha256.optional(),
  }),
  /** A checkpoint to witness, with the proof that it goes on from the one of size `from`. */
  z.strictObject({
    kind: z.literal('Checkpoint'),
    envelope: envelopeText,
    from: sequence,
    proof: z.array(sha256).max(128),
  }),
  /** Which checkpoint of the one who asks did the other see last? */
  z.strictObject({ kind: z.literal('Head') }),
])
export type Question = z.infer<typeof questionSchema>

export const answerSchema = z.discriminatedUnion('kind', [
  /** The claim was taken; there is no verdict yet. */
  z.object({ kind: z.literal('Pending') }),
  z.object({ kind: z.literal('Settlement'), envelope: envelopeText }),
  /** `next`: ask for what comes behind this leaf hash. */
  z.object({
    kind: z.literal('Receipts'),
    receipts: z.array(receiptSchema).max(receiptsPerPage),
    next: sha256.optional(),
  }),
  z.object({ kind: z.literal('Cosignature'), envelope: envelopeText }),
  /** The highest checkpoint of the one who asks, as it was signed; none was seen where it is missing. */
  z.object({ kind: z.literal('Seen'), envelope: envelopeText.optional() }),
])
export type Answer = z.infer<typeof answerSchema>

/** Asks the ledger of a peer. Throws HansaError: PeerUnreachable, or the reason of its refusal. */
export type AskPeer = (peerName: string, question: Question, signal: AbortSignal) => Promise<Answer>
