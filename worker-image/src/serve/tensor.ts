import type { Datatype } from './datatype.ts'

/** Name, type and shape of a model's input or output; -1 is a dimension that the request decides. */
export type TensorSpec = { readonly name: string; readonly datatype: Datatype; readonly shape: readonly number[] }

/** What a loaded model takes and gives. */
export type Signature = { readonly inputs: readonly TensorSpec[]; readonly outputs: readonly TensorSpec[] }

/**
 * A tensor with its bytes in wire order: little-endian elements in row-major order; BYTES elements each behind a 4-byte
 * little-endian length. The bytes lie in pieces as they came from a socket, so that nothing copies them on the way through.
 */
export type Tensor = {
  readonly name: string
  readonly datatype: Datatype
  readonly shape: readonly number[]
  readonly byteLength: number
  readonly pieces: readonly Uint8Array[]
}

/** One request, free of any protocol: what REST and later gRPC decode to and what the scheduler takes. */
export type InferRequest = { readonly inputs: readonly Tensor[]; readonly outputs: readonly string[] }

/** How a request was run, for statistics and traces; `runMicros` is what the model took for the whole batch. */
export type RunFigures = {
  readonly queueMicros: number
  readonly runMicros: number
  /** Requests that ran together, and the sum of their rows. */
  readonly requests: number
  readonly rows: number
}

/** The model's answer, outputs in the order asked for. */
export type InferResponse = { readonly outputs: readonly Tensor[]; readonly run?: RunFigures }

/** Elements of a shape; 1 for a scalar. May exceed the safe integers, so compare before use. */
export function elementCount(shape: readonly number[]): number {
  let count = 1
  for (const dimension of shape) count *= dimension
  return count
}

/** `[2,-1]`, for messages. */
export function shapeText(shape: readonly number[]): string {
  return `[${shape.join(',')}]`
}

/** The same bytes in one piece; copies only when there are several. */
export function contiguous(pieces: readonly Uint8Array[], byteLength: number): Uint8Array {
  const [only] = pieces
  return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces, byteLength)
}
