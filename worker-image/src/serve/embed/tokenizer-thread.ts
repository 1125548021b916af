import { parentPort, workerData } from 'node:worker_threads'
import { type EmbeddingsRequest, readEmbeddingsRequest } from '../openai/embeddings-request.ts'
import { InferProblem } from '../problem.ts'
import { loadTokenizer, TokenizerRefused } from './tokenizer.ts'
import type { TokenizerJob, TokenizerReply } from './tokenizer-threads.ts'

/** Entry of a tokenizer thread: loads the tokenizer, says so, then does one job at a time in the order of arrival. */
const tokenizer = load()
if (tokenizer !== undefined) {
  const { vocabularySize, padId } = tokenizer
  reply({ kind: 'ready', vocabularySize, padId })
  parentPort?.on('message', (job: TokenizerJob) => {
    try {
      const request = readEmbeddingsRequest(job.body, tokenizer, job.limits)
      reply({ kind: 'read', ...plain(request) }, [request.tokens.ids.buffer, request.tokens.lengths.buffer])
    } catch (error) {
      if (error instanceof InferProblem) {
        reply({ kind: 'refused', problem: error.problem, message: error.message })
      } else
        reply({ kind: 'refused', problem: 'ModelFailed', message: 'the tokenizer of the model failed on this input' })
    }
  })
}

function load() {
  try {
    // Our own parent gave it.
    return loadTokenizer(String(workerData))
  } catch (error) {
    const message = error instanceof TokenizerRefused ? error.message : 'it cannot be read'
    reply({ kind: 'unusable', message })
    return undefined
  }
}

function plain({ tokens, encoding, dimensions }: EmbeddingsRequest) {
  return { ids: tokens.ids, lengths: tokens.lengths, encoding, dimensions }
}

function reply(message: TokenizerReply, transfer: ArrayBufferLike[] = []): void {
  // Both arrays were made here over memory of their own, which is what can be transferred.
  parentPort?.postMessage(message, transfer as ArrayBuffer[])
}
