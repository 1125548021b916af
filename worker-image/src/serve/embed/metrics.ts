import { Counter, Histogram, type Registry } from 'prom-client'

/** What embedding counts, besides what every worker does. */
export type EmbeddingMetrics = ReturnType<typeof createEmbeddingMetrics>

export function createEmbeddingMetrics(registry: Registry, labels: { model: string; version: string }) {
  const registers = [registry]
  const labelNames = ['model', 'version']
  const counter = (name: string, help: string) => {
    const one = new Counter({ name, help, labelNames, registers }).labels(labels)
    one.inc(0)
    return one
  }
  return {
    texts: counter('hansa_worker_embedded_texts_total', 'Texts turned into vectors.'),
    tokens: counter('hansa_worker_embedded_tokens_total', 'Tokens of those texts, special ones included.'),
    restarts: counter(
      'hansa_worker_tokenizer_restarts_total',
      'Tokenizer threads ended for time or memory, and started again.',
    ),
    tokenizeSeconds: new Histogram({
      name: 'hansa_worker_tokenize_duration_seconds',
      help: 'Time in which a request was read and tokenized, waiting for a thread included.',
      labelNames,
      registers,
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    }).labels(labels),
  }
}
