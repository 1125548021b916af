import { leafHash, type Receipt, receiptBytes } from '../receipt.ts'
import type { Dispute, Known, Terms } from './judge-claim.ts'
import { type Claim, samePrice } from './make-claim.ts'

/** Our gateway measured between two records; its clock may have been set meanwhile. */
const slackMilliseconds = 5000

/** Everything that is wrong with one receipt of a claim. */
export function judgeReceipt(
  receipt: Receipt,
  context: { claim: Claim; terms: Terms | undefined; known: Known | undefined; isReplayed: boolean },
): Dispute[] {
  const { claim, terms, known, isReplayed } = context
  const leaf = leafHash(receiptBytes(receipt))
  const wrong: Dispute[] = []
  const dispute = (reason: string, message: string) => wrong.push({ reason, message, leaf })
  if (isReplayed) dispute('Replayed', 'a receipt of this id was claimed before')
  if (receipt.requestId !== claim.requestId || receipt.epoch !== claim.epoch) {
    dispute('GrantWrong', 'the receipt is of another grant')
  }
  if (terms !== undefined && !samePrice(receipt.price, terms.price)) {
    dispute('PriceNotGranted', 'the price in the receipt is not the one that was granted')
  }
  if (known === undefined) {
    dispute('ReceiptUnknown', 'none of our gateways has sent this request')
    return wrong
  }
  const { sent, seen } = known
  if (receipt.dataClass !== sent.dataClass || receipt.purpose !== sent.purpose) {
    dispute(
      'ClassOrPurposeWrong',
      `it says ${receipt.dataClass} and ${receipt.purpose}; sent was ${sent.dataClass} and ${sent.purpose}`,
    )
  }
  if (receipt.model !== sent.model) dispute('ModelWrong', 'it names another model than the one that was asked')
  if (receipt.caller !== sent.caller) dispute('CommitmentWrong', 'the commitment to the caller is another one')
  // Without the end of an answer there is nothing more that could be compared.
  if (seen === undefined) return wrong
  if (seen.receipt !== undefined && !receiptBytes(seen.receipt).equals(receiptBytes(receipt))) {
    dispute('ReceiptChanged', 'it is not the receipt that came with the answer')
  }
  if (seen.whole) wrong.push(...wrongWhole(receipt, seen, leaf))
  else wrong.push(...wrongPart(receipt, seen, leaf))
  const milliseconds = seen.at - sent.at + slackMilliseconds
  if (receipt.busyGPUMilliseconds > milliseconds * Math.max(1, terms?.asked?.gpusPerWorker ?? 1)) {
    const message = `it says ${receipt.busyGPUMilliseconds} GPU milliseconds; the answer took ${seen.at - sent.at} ms`
    dispute('BusyTimeWrong', message)
  }
  return wrong
}

type Seen = NonNullable<Known['seen']>

/** The answer came to its end: both sides saw the same. */
function wrongWhole(receipt: Receipt, seen: Seen, leaf: string): Dispute[] {
  const wrong: Dispute[] = []
  for (const [what, name] of [
    ['request', 'request'],
    ['response', 'answer'],
  ] as const) {
    if (receipt[what] !== seen[what]) {
      wrong.push({ reason: 'CommitmentWrong', message: `the commitment to the ${name} is another one`, leaf })
    }
  }
  for (const what of ['requestBytes', 'responseBytes', 'status'] as const) {
    if (receipt[what] !== seen[what]) {
      wrong.push({ reason: 'MeasureWrong', message: `${what} is ${receipt[what]}; we saw ${seen[what]}`, leaf })
    }
  }
  return wrong
}

/** It broke off: the executor may have had less of the request, and may have sent more of the answer, than we know of. */
function wrongPart(receipt: Receipt, seen: Seen, leaf: string): Dispute[] {
  const wrong: Dispute[] = []
  if (receipt.requestBytes > seen.requestBytes) {
    const message = `requestBytes is ${receipt.requestBytes}; we sent ${seen.requestBytes}`
    wrong.push({ reason: 'MeasureWrong', message, leaf })
  }
  if (receipt.requestBytes === seen.requestBytes && receipt.request !== seen.request) {
    wrong.push({ reason: 'CommitmentWrong', message: 'the commitment to the request is another one', leaf })
  }
  if (receipt.responseBytes < seen.responseBytes) {
    const message = `responseBytes is ${receipt.responseBytes}; we saw ${seen.responseBytes}`
    wrong.push({ reason: 'MeasureWrong', message, leaf })
  }
  if (receipt.responseBytes === seen.responseBytes && receipt.response !== seen.response) {
    wrong.push({ reason: 'CommitmentWrong', message: 'the commitment to the answer is another one', leaf })
  }
  return wrong
}
