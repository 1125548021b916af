import { join } from 'node:path'
import type { Registry } from 'prom-client'
import type { Scheduler } from '../scheduler.ts'
import type { ServeProcessSettings } from '../settings.ts'
import type { Signature } from '../tensor.ts'
import { createEmbedder, type Embedder } from './embedder.ts'
import { embeddingGraph } from './graph.ts'
import { createEmbeddingMetrics } from './metrics.ts'
import { startTokenizerThreads } from './tokenizer-threads.ts'

/** A request's texts have at most 300,000 tokens: about two seconds of a slow core. */
const tokenizeSeconds = 10

/**
 * Starts what an embedding model needs besides its sessions; undefined for other models. The model's files have been checked.
 * Rejects with HansaError (ModelLoadFailed).
 */
export async function loadEmbedder(
  { serve, modelDir, codecThreads }: ServeProcessSettings,
  signature: Signature,
  deps: { submit: Scheduler['submit']; registry: Registry; signal: AbortSignal },
): Promise<Embedder | undefined> {
  const { embedding, limits, timeouts, modelName } = serve
  if (embedding === undefined) return undefined
  const graph = embeddingGraph(signature, embedding)
  const metrics = createEmbeddingMetrics(deps.registry, { model: modelName, version: serve.modelVersion })
  const tokenizer = await startTokenizerThreads(
    {
      path: join(modelDir, embedding.tokenizer),
      threads: codecThreads,
      loadSeconds: timeouts.loadSeconds,
      jobSeconds: tokenizeSeconds,
      queueDepth: limits.queueDepth,
    },
    { onRestart: () => metrics.restarts.inc(), signal: deps.signal },
  )
  try {
    return await createEmbedder({
      modelName,
      settings: embedding,
      graph,
      maxResponseBytes: limits.responseBytes,
      loadSeconds: timeouts.loadSeconds,
      tokenizer,
      submit: deps.submit,
      metrics,
      signal: deps.signal,
    })
  } catch (error) {
    await tokenizer.close()
    throw error
  }
}
