import { HansaError, messageOf } from '@hansa/operator/process/errors.ts'
import type { EmbeddingsRequest } from '../openai/embeddings-request.ts'
import { InferProblem } from '../problem.ts'
import type { Submission } from '../scheduler.ts'
import type { InferResponse } from '../tensor.ts'
import { batchRequest } from './batch-request.ts'
import type { EmbeddingGraph, EmbeddingSettings } from './graph.ts'
import type { EmbeddingMetrics } from './metrics.ts'
import { type BatchLimits, planBatches } from './plan-batches.ts'
import { poolRows, shortened } from './pool.ts'
import type { TokenizerThreads } from './tokenizer-threads.ts'
import { Tokens } from './tokens.ts'

/** Texts to vectors, for a model with `spec.embedding`. */
export type Embedder = {
  readonly dimensions: number
  readonly metrics: EmbeddingMetrics
  /** Reads and tokenizes a request's body. Rejects with InferProblem or the signal's reason. */
  read(body: Uint8Array, signal: AbortSignal): Promise<EmbeddingsRequest>
  /** One vector for each text, in the order of the texts. Rejects like the scheduler. */
  embed(request: EmbeddingsRequest, until: Omit<Submission, 'request'>): Promise<Float32Array[]>
  close(): Promise<void>
}

export type EmbedderDeps = {
  readonly modelName: string
  readonly settings: EmbeddingSettings
  readonly graph: EmbeddingGraph
  readonly maxResponseBytes: number
  readonly loadSeconds: number
  readonly tokenizer: TokenizerThreads
  readonly submit: (submission: Submission) => Promise<InferResponse>
  readonly metrics: EmbeddingMetrics
  readonly signal: AbortSignal
}

/** Tokens of one run: enough that a run is worth its overhead, few enough that others do not wait long. */
const mostTokensOfRun = 8192
/** Runs of one request that are under way together; the others wait here, not in the queue that all share. */
const mostRunsAtOnce = 4
/** Models that take this many tokens or fewer show at load whether they really do. */
const longestProbe = 1024

/** Checks that the graph works, and puts the parts together. Rejects with HansaError (ModelLoadFailed). */
export async function createEmbedder(deps: EmbedderDeps): Promise<Embedder> {
  const { settings, graph, tokenizer, metrics } = deps
  const { maxTokens } = settings
  let dimensions = 0

  const limits = (): BatchLimits => {
    const bytesOfToken = dimensions * 4
    const mostTokens = Math.min(mostTokensOfRun, Math.floor(deps.maxResponseBytes / Math.max(1, bytesOfToken)))
    const pads = graph.mask !== undefined
    return { mostRows: graph.mostRows, mostTokens, maxTokens, fixedLength: graph.fixedLength, pads }
  }

  async function vectors(tokens: Tokens, until: Omit<Submission, 'request'>): Promise<Float32Array[]> {
    const batches = planBatches(tokens.lengths, limits())
    const found = new Array<Float32Array>(tokens.count)
    // The first failure ends the request; what of it waits for a session then must not run any more.
    const failed = new AbortController()
    const signal = AbortSignal.any([until.signal, failed.signal])
    const waiting = batches.values()
    async function runSome(): Promise<void> {
      for (const batch of waiting) {
        const request = batchRequest(graph, batch, tokens, tokenizer.padId)
        const { outputs } = await deps.submit({ ...until, request, signal })
        const [output] = outputs
        if (output === undefined) throw new InferProblem('ModelFailed', 'the model left out its output')
        const lengths = batch.texts.map((text) => tokens.lengths[text] ?? 0)
        for (const [row, vector] of poolRows(output, lengths, batch.length, settings).entries()) {
          const text = batch.texts[row]
          if (text !== undefined) found[text] = vector
        }
      }
    }
    try {
      await Promise.all(Array.from({ length: Math.min(mostRunsAtOnce, batches.length) }, runSome))
    } catch (error) {
      failed.abort(error)
      throw error
    }
    return found
  }

  dimensions = await probe(deps, vectors)
  return {
    dimensions,
    metrics,
    read: async (body, signal) => {
      const started = performance.now()
      try {
        return await tokenizer.read(body, { modelName: deps.modelName, maxTokens, mostDimensions: dimensions }, signal)
      } finally {
        metrics.tokenizeSeconds.observe((performance.now() - started) / 1000)
      }
    },
    embed: async ({ tokens, dimensions: wanted }, until) => {
      const all = await vectors(tokens, until)
      metrics.texts.inc(tokens.count)
      metrics.tokens.inc(tokens.total)
      if (wanted === undefined || wanted === dimensions) return all
      return all.map((vector) => shortened(vector, wanted, settings.normalize))
    },
    close: tokenizer.close,
  }
}

/** Embeds one short text of made-up tokens and, where that is cheap, the longest that is allowed; returns the vector's length. */
async function probe(
  { settings, graph, tokenizer, loadSeconds, signal }: EmbedderDeps,
  vectors: (tokens: Tokens, until: Omit<Submission, 'request'>) => Promise<Float32Array[]>,
): Promise<number> {
  const { maxTokens } = settings
  let dimensions = 0
  for (const length of maxTokens <= longestProbe ? [1, maxTokens] : [1]) {
    const ids = new Int32Array(length).fill(Math.min(1, tokenizer.vocabularySize - 1))
    const deadlineAt = performance.now() + loadSeconds * 1000
    const found = await vectors(new Tokens(ids, Int32Array.of(length)), { deadlineAt, signal }).catch(
      (error: unknown) => {
        const advice = length > 1 ? '; is embedding.maxTokens more than it was made for?' : ''
        throw new HansaError(
          'ModelLoadFailed',
          `the graph cannot embed a text of ${length} tokens with ${graph.output.name}: ${messageOf(error)}${advice}`,
          { retry: 'never', cause: error },
        )
      },
    )
    dimensions = found[0]?.length ?? 0
  }
  return dimensions
}
