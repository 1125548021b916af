import type { InferRequest, Tensor, TensorSpec } from '../tensor.ts'
import type { EmbeddingGraph } from './graph.ts'
import type { Batch } from './plan-batches.ts'
import type { Tokens } from './tokens.ts'

/** The inputs of one run: ids padded with `padId`, a mask of ones over the tokens, and token types of zeros. */
export function batchRequest(graph: EmbeddingGraph, batch: Batch, tokens: Tokens, padId: number): InferRequest {
  const rows = batch.texts.length
  const ids = new Int32Array(rows * batch.length).fill(padId)
  const mask = new Int32Array(rows * batch.length)
  for (const [row, text] of batch.texts.entries()) {
    const own = tokens.of(text)
    const from = row * batch.length
    ids.set(own, from)
    mask.fill(1, from, from + own.length)
  }
  const shape = [rows, batch.length]
  const inputs = [tensor(graph.ids, shape, ids)]
  if (graph.mask !== undefined) inputs.push(tensor(graph.mask, shape, mask))
  if (graph.types !== undefined) inputs.push(tensor(graph.types, shape, new Int32Array(rows * batch.length)))
  return { inputs, outputs: [graph.output.name] }
}

function tensor(spec: TensorSpec, shape: readonly number[], values: Int32Array): Tensor {
  const data = spec.datatype === 'INT64' ? widened(values) : values
  const bytes = new Uint8Array(data.buffer)
  return { name: spec.name, datatype: spec.datatype, shape, byteLength: bytes.byteLength, pieces: [bytes] }
}

/** Non-negative 32-bit integers as little-endian 64-bit ones: the upper half of each stays zero. */
function widened(values: Int32Array): Int32Array {
  const wide = new Int32Array(values.length * 2)
  for (let index = 0; index < values.length; index++) wide[2 * index] = values[index] ?? 0
  return wide
}
