import { commitment, type Receipt, receiptBytes } from '../../ledger/receipt.ts'
import type { GuestHead } from './guest-head.ts'
import type { GuestTerms } from './guest-terms.ts'

/** What was seen of a request that is over. */
export type Counted = {
  requestBytes: number
  responseBytes: number
  status: number
  /** Milliseconds that it had a worker. */
  busyMs: number
  /** Wall clock, milliseconds since 1970. */
  ended: number
}

/** The receipt of one answered request. */
export function sealReceipt(
  guest: Pick<GuestHead, 'requestId' | 'epoch' | 'receipt'>,
  terms: GuestTerms,
  digests: { request: Buffer; response: Buffer },
  { requestBytes, responseBytes, status, busyMs, ended }: Counted,
): Receipt {
  const salt = Buffer.from(guest.receipt.salt, 'base64url')
  const { model, dataClass, purpose, price, gpus } = terms
  return {
    version: 1,
    requestId: guest.requestId,
    epoch: guest.epoch,
    id: guest.receipt.id,
    ended: new Date(ended).toISOString(),
    model,
    request: commitment('request', salt, digests.request),
    response: commitment('response', salt, digests.response),
    caller: guest.receipt.caller,
    requestBytes,
    responseBytes,
    status,
    // Bodies are passed on unparsed; who serves by tokens says so in the answer.
    inputTokens: 0,
    outputTokens: 0,
    busyGPUMilliseconds: Math.round(busyMs * gpus),
    ...(price !== undefined && { price }),
    dataClass,
    purpose,
  }
}

/** As it goes into a trailer. */
export function receiptText(receipt: Receipt): string {
  return receiptBytes(receipt).toString('base64url')
}
