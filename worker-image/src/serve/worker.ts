import type { BatchingState } from './batch/decide-batching.ts'
import type { Embedder } from './embed/embedder.ts'
import type { ServeMetrics } from './metrics.ts'
import type { Codec } from './rest/codec.ts'
import type { Scheduler } from './scheduler.ts'
import type { Signature } from './tensor.ts'

/** What a protocol's server needs of the worker behind it. */
export type Worker = {
  readonly model: { readonly name: string; readonly version: string }
  readonly limits: {
    readonly requestBytes: number
    readonly responseBytes: number
    readonly requestSeconds: number
    readonly queueDepth: number
  }
  readonly metrics: ServeMetrics
  readonly scheduler: Scheduler
  /** Undefined until the model is loaded. */
  readonly loaded: LoadedModel | undefined
  /** Why gateways should send nothing more; undefined when they may. */
  notReady(): string | undefined
  /** Why an inference is refused now. A shutting-down worker is not ready at once, but takes requests for its lame-duck time. */
  unavailable(): string | undefined
  /** A shutdown has begun. */
  readonly draining: boolean
  /** Past the lame-duck time of a shutdown: nothing new is taken. */
  readonly closing: boolean
}

export type LoadedModel = {
  readonly signature: Signature
  readonly provider: 'CPU' | 'CUDA'
  readonly codec: Codec
  /** Undefined: `spec.batching` is not set. */
  readonly batching: BatchingState | undefined
  /** Undefined for models without `spec.embedding`. */
  readonly embedder: Embedder | undefined
}
