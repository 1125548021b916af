import type { ServeSettings } from '@hansa/operator/api/index.ts'
import type { Batching } from '../scheduler.ts'
import type { InferRequest, InferResponse, Signature } from '../tensor.ts'
import { proveBatchAxis } from './prove-batch-axis.ts'

/** Whether requests run together, for metadata, metric and log. */
export type BatchingState =
  | { readonly on: true; readonly maxSize: number; readonly maxDelayMilliseconds: number }
  | { readonly on: false; readonly reason: string }

export type BatchingDecision = { readonly state: BatchingState | undefined; readonly batching: Batching | undefined }

const mostCheckedBytes = 64 << 20

/** Batching as `spec.batching` wants it, if the loaded model proves that its first dimension is a batch axis. */
export async function decideBatching(
  serve: ServeSettings,
  signature: Signature,
  run: (request: InferRequest) => Promise<InferResponse>,
): Promise<BatchingDecision> {
  const { batching: wanted, limits, timeouts } = serve
  if (wanted === undefined) return { state: undefined, batching: undefined }
  const proof = await proveBatchAxis(signature, {
    run,
    now: () => performance.now(),
    maxBytes: Math.min(limits.requestBytes, mostCheckedBytes),
    maxSeconds: timeouts.loadSeconds / 2,
  })
  if ('reason' in proof) return { state: { on: false, reason: proof.reason }, batching: undefined }
  const { maxSize, maxDelayMilliseconds } = wanted
  return {
    state: { on: true, maxSize, maxDelayMilliseconds },
    batching: {
      maxRows: maxSize,
      maxDelayMilliseconds,
      rowOutputs: proof.rowOutputs,
      maxInputBytes: limits.requestBytes,
      maxOutputBytes: limits.responseBytes,
    },
  }
}
