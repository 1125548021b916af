import type { ServeSettings } from '@hansa/operator/api/index.ts'
import { HansaError } from '@hansa/operator/process/errors.ts'
import { type Signature, shapeText, type TensorSpec } from '../tensor.ts'

export type EmbeddingSettings = NonNullable<ServeSettings['embedding']>

/** How tokens go into a graph and vectors come out. */
export type EmbeddingGraph = {
  readonly ids: TensorSpec
  readonly mask: TensorSpec | undefined
  readonly types: TensorSpec | undefined
  readonly output: TensorSpec
  /** Rows that one run may have. */
  readonly mostRows: number
  /** Every row must have exactly this many tokens; undefined where the graph takes any length. */
  readonly fixedLength: number | undefined
}

const inputNames = ['input_ids', 'attention_mask', 'token_type_ids']
const mostRows = 32
const expected =
  'an embedding model takes input_ids, and where it has them attention_mask and token_type_ids, each INT64 or INT32 of shape [batch, sequence]'

/** Finds the parts of the graph that embedding needs. Throws HansaError (ModelLoadFailed) that says what was expected. */
export function embeddingGraph(signature: Signature, settings: EmbeddingSettings): EmbeddingGraph {
  const other = signature.inputs.find((input) => !inputNames.includes(input.name))
  if (other !== undefined) throw unfit(`its input ${quoted(other)} is unknown: ${expected}`)
  const inputs = new Map(signature.inputs.map((input) => [input.name, input]))
  for (const input of inputs.values()) {
    const isWhole = input.datatype === 'INT64' || input.datatype === 'INT32'
    if (!isWhole || input.shape.length !== 2) {
      throw unfit(`its input ${quoted(input)} is ${input.datatype}${shapeText(input.shape)}: ${expected}`)
    }
  }
  const ids = inputs.get('input_ids')
  if (ids === undefined) throw unfit(`it has no input input_ids: ${expected}`)
  const [batch = -1, sequence = -1] = ids.shape
  for (const input of inputs.values()) {
    if (shapeText(input.shape) !== shapeText(ids.shape)) {
      throw unfit(`its inputs have different shapes, ${shapeText(ids.shape)} and ${shapeText(input.shape)}`)
    }
  }
  if (batch !== -1 && batch !== 1) throw unfit(`it takes exactly ${batch} rows at once; export it with a dynamic batch`)
  const fixedLength = sequence === -1 ? undefined : sequence
  const mask = inputs.get('attention_mask')
  if (fixedLength !== undefined) {
    if (mask === undefined)
      throw unfit(`it takes exactly ${fixedLength} tokens and has no attention_mask to tell padding`)
    if (settings.maxTokens > fixedLength) {
      throw unfit(`it takes ${fixedLength} tokens, embedding.maxTokens is ${settings.maxTokens}`)
    }
  }
  return {
    ids,
    mask,
    types: inputs.get('token_type_ids'),
    output: outputOf(signature, settings),
    mostRows: batch === 1 ? 1 : mostRows,
    fixedLength,
  }
}

function outputOf(signature: Signature, { output: name, pooling }: EmbeddingSettings): TensorSpec {
  const output =
    name === undefined ? signature.outputs[0] : signature.outputs.find((candidate) => candidate.name === name)
  if (output === undefined) {
    const names = signature.outputs.slice(0, 8).map(quoted).join(', ')
    throw unfit(`it has no output ${JSON.stringify(name ?? '')}; embedding.output may be one of ${names}`)
  }
  const shape = pooling === 'None' ? '[batch, dimensions]' : '[batch, sequence, dimensions]'
  const rank = pooling === 'None' ? 2 : 3
  const isFloat = output.datatype === 'FP32' || output.datatype === 'FP16'
  if (!isFloat || output.shape.length !== rank) {
    throw unfit(
      `pooling ${pooling} needs an output FP32 or FP16 of shape ${shape}, ${quoted(output)} is ${output.datatype}${shapeText(output.shape)}`,
    )
  }
  return output
}

function quoted(spec: TensorSpec): string {
  return JSON.stringify(spec.name.slice(0, 128))
}

function unfit(message: string): HansaError {
  return new HansaError('ModelLoadFailed', `the graph does not fit spec.embedding of the Model: ${message}`, {
    retry: 'never',
  })
}
