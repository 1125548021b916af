import type { GuestWork } from '../../api/guest-work.ts'
import { parseCanonicalJson } from '../../federation/canonical-json.ts'
import { readEnvelope } from '../../federation/dsse.ts'
import { messageKinds } from '../../federation/messages.ts'
import { readRequest } from '../../guestwork/open-request.ts'
import { gpusOf, workerAmounts } from '../../guestwork/resources.ts'
import { modelDigest, type Receipt } from '../../ledger/receipt.ts'

/** What was asked for and granted, as far as requests under it are judged and accounted by it. */
export type GuestTerms = Pick<Receipt, 'model' | 'dataClass' | 'purpose' | 'price'> & {
  /** GPUs of one worker. */
  gpus: number
}

/**
 * Reads the terms of guest work. Its request is not checked once more: the operator has, and `status.requestSha256` says which it was.
 * Undefined where that request is not what lies here.
 */
export function readGuestTerms({ spec, status }: GuestWork): GuestTerms | undefined {
  if (status?.decision !== 'Granted' || status.requestSha256 === undefined) return undefined
  const request = readRequest(spec.request)
  if (request === undefined || request.sha256 !== status.requestSha256) return undefined
  const { models, dataClass, purpose, resources, workload } = request.work
  const [model] = models
  if (model === undefined || workload !== 'Serve') return undefined
  const price = priceOf(status.outbox?.find(({ kind }) => kind === 'Answer')?.envelope)
  return {
    model: modelDigest(model.files),
    dataClass,
    purpose,
    gpus: gpusOf(workerAmounts({ resources })),
    ...(price !== undefined && { price }),
  }
}

/** The price that we granted at; our own answer, so it is read and not judged. */
function priceOf(answer: string | undefined): Receipt['price'] {
  const read = answer === undefined ? undefined : readEnvelope(answer)
  if (read === undefined || read.payloadType !== messageKinds.Answer.payloadType) return undefined
  return messageKinds.Answer.schema.safeParse(parseCanonicalJson(read.payload)?.value).data?.lease?.price
}
