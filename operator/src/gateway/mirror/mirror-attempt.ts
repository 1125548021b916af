import type { Dispatcher } from 'undici'
import { resultOfError } from '../forward/failure.ts'
import type { Worker } from '../route/worker.ts'
import { type Answer, comparedBytes } from './answer-copy.ts'
import type { MirroredRequest } from './mirror.ts'

/** `refused`: the worker was full, draining, gone, or this gateway ended; `failed`: it took the request and gave no answer. */
export type MirrorEnd = Answer | 'refused' | 'failed' | 'tooLarge'

/** One mirrored request at one worker, as undici's handler. */
export class MirrorAttempt implements Dispatcher.DispatchHandler {
  readonly answer: Promise<MirrorEnd>
  #resolve: (end: MirrorEnd) => void
  #controller: Dispatcher.DispatchController | undefined
  #ended = false
  #started = false
  #status = 0
  #headers: Record<string, string> = {}
  #chunks: Buffer[] = []
  #bytes = 0
  readonly #worker: Worker

  constructor(worker: Worker, request: MirroredRequest, timeoutMs: number) {
    const { promise, resolve } = Promise.withResolvers<MirrorEnd>()
    this.answer = promise
    this.#resolve = resolve
    this.#worker = worker
    worker.outstanding += 1
    worker.dispatch(
      { path: request.path, method: 'POST', headers: withTimeout(request.headers, timeoutMs), body: request.body },
      this,
    )
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#ended) {
      controller.abort(new Error('no longer wanted'))
      return
    }
    this.#started = true
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2],
  ): void {
    if (status < 200) return
    this.#status = status
    for (const [name, value] of Object.entries(headers)) if (typeof value === 'string') this.#headers[name] = value
    // A revision that is being tried comes and goes; that it is full or ends says nothing of its answers.
    if (status === 429 || (status === 503 && this.#headers.connection?.toLowerCase() === 'close')) this.#end('refused')
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#ended) return
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes <= comparedBytes) return
    this.#end('tooLarge')
    this.#controller?.abort(new Error('too large to compare'))
  }

  onResponseEnd(): void {
    this.#worker.outstanding -= 1
    this.#end({ status: this.#status, headers: this.#headers, body: Buffer.concat(this.#chunks, this.#bytes) })
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: unknown): void {
    this.#worker.outstanding -= 1
    this.#end(resultOfError(error, this.#started) === 'unreachable' ? 'refused' : 'failed')
  }

  /** Counts as a failure of the worker, if it had begun. */
  tooLate(): void {
    this.#stop(this.#started ? 'failed' : 'refused')
  }

  abandon(): void {
    this.#stop('refused')
  }

  #stop(end: MirrorEnd): void {
    if (this.#ended) return
    this.#end(end)
    this.#controller?.abort(new Error('no longer wanted'))
  }

  #end(end: MirrorEnd): void {
    if (this.#ended) return
    this.#ended = true
    this.#chunks = typeof end === 'string' ? [] : this.#chunks
    this.#resolve(end)
  }
}

function withTimeout(headers: readonly string[], timeoutMs: number): string[] {
  const sent = [...headers]
  const index = sent.indexOf('x-hansa-timeout-ms')
  if (index >= 0) sent[index + 1] = `${timeoutMs}`
  return sent
}
