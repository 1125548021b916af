import type { Span } from './span.ts'

export type SpanQueueDeps = {
  /** Resolves to whether the receiver took them. */
  send(spans: readonly Span[]): Promise<boolean>
  /** Calls back after so many milliseconds; returns what cancels it. */
  after(milliseconds: number, call: () => void): () => void
  onDropped(reason: 'QueueFull' | 'ExportFailed', count: number): void
}

export const mostQueued = 2048
const batchSize = 512
const flushMs = 1000

/** Spans on their way out: bounded, sent in batches once a second, one batch at a time. What does not fit or fails is dropped. */
export class SpanQueue {
  readonly #deps: SpanQueueDeps
  #spans: Span[] = []
  #cancel: (() => void) | undefined
  #sending: Promise<void> | undefined

  constructor(deps: SpanQueueDeps) {
    this.#deps = deps
  }

  add(span: Span): void {
    if (this.#spans.length >= mostQueued) {
      this.#deps.onDropped('QueueFull', 1)
      return
    }
    this.#spans.push(span)
    if (this.#sending === undefined) this.#cancel ??= this.#deps.after(flushMs, () => void this.flush())
  }

  /** Sends what there is. Never rejects. */
  flush(): Promise<void> {
    this.#cancel?.()
    this.#cancel = undefined
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined
    })
    return this.#sending
  }

  async #sendAll(): Promise<void> {
    while (this.#spans.length > 0) {
      const batch = this.#spans.splice(0, batchSize)
      const sent = await this.#deps.send(batch).catch(() => false)
      if (!sent) this.#deps.onDropped('ExportFailed', batch.length)
    }
  }
}
