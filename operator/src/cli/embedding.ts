import { basename } from 'node:path'
import type { ModelSpec } from '../api/model.ts'
import { usageError } from './cli-error.ts'
import { type Io, plain } from './io.ts'

export type EmbeddingOptions = {
  readonly embedding?: boolean
  readonly pooling?: 'Mean' | 'CLS' | 'None'
  readonly maxTokens?: number
  readonly format: ModelSpec['format']
}

const tokenizerName = 'tokenizer.json'

/**
 * `spec.embedding` as the options ask for it; `--pooling` and `--max-tokens` alone ask for it too. Where nothing asks although a
 * tokenizer lies among the files, a line on `err` says how to.
 */
export function embeddingOf(
  paths: readonly string[],
  options: EmbeddingOptions,
  io: Pick<Io, 'err'>,
): ModelSpec['embedding'] {
  const tokenizers = paths.filter((path) => basename(path) === tokenizerName)
  const [tokenizer] = tokenizers
  const wanted = options.embedding === true || options.pooling !== undefined || options.maxTokens !== undefined
  if (!wanted) {
    if (tokenizer !== undefined && options.format === 'ONNX') {
      io.err(`${plain(tokenizer)} is among the files: if this model turns texts into vectors, add --embedding\n`)
    }
    return undefined
  }
  if (options.format !== 'ONNX') throw usageError('--embedding goes with --format ONNX')
  if (tokenizer === undefined) {
    throw usageError(`--embedding needs a ${tokenizerName} among the files`, 'It is published beside the weights.')
  }
  if (tokenizers.length > 1) {
    throw usageError(
      `several files are named ${tokenizerName}: ${tokenizers.join(', ')}`,
      'Name the files with --file.',
    )
  }
  return {
    tokenizer,
    pooling: options.pooling ?? 'Mean',
    normalize: true,
    maxTokens: options.maxTokens ?? 512,
  }
}
