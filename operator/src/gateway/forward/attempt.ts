import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import { heldHeader } from '../hold/hold-refusal.ts'
import { responseHead } from '../http/response-head.ts'
import type { Route } from '../route/route.ts'
import type { AttemptResult, Worker } from '../route/worker.ts'
import { resultOfError } from './failure.ts'
import { BodyTooLargeError } from './forwarded-body.ts'

/** What an attempt needs of the exchange that it belongs to. */
export type AttemptOwner = {
  readonly input: { request: IncomingMessage; response: ServerResponse; requestId: string; route: Route }
  readonly isDone: boolean
  responseBytes: number
  now(): number
  /** When the last byte of the request came in; 0 for a body that was there before the attempt. */
  bodyEndedAt(): number
  readonly heldMs: number | undefined
  retry(): boolean
  /** Waits in line once more after a worker refused. */
  waitAgain(): boolean
  retriedAfterAnswer(result: AttemptResult): void
  failed(attempt: Attempt, error: unknown): void
  refuse(status: number, error: string, failure: string): void
  cutOff(failure: string): void
  complete(): void
}

/** One try with one worker, as undici's handler. After `abandon`, or once a retry was started, nothing of it reaches the user. */
export class Attempt implements Dispatcher.DispatchHandler {
  started = false
  #controller: Dispatcher.DispatchController | undefined
  #ended = false
  #discarding = false
  #waiting = false
  #counted = false
  #contentLength: number | undefined
  readonly #exchange: AttemptOwner
  readonly #beganAt: number
  readonly #worker: Worker

  constructor(exchange: AttemptOwner, worker: Worker) {
    this.#exchange = exchange
    this.#worker = worker
    this.#beganAt = exchange.now()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    // The user left, or the deadline passed, while this waited for a connection.
    if (this.#exchange.isDone) {
      controller.abort(new Error('no longer wanted'))
      return
    }
    this.started = true
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2],
  ): void {
    if (status < 200) return
    const { request, response, requestId, route } = this.#exchange.input
    const draining = status === 503 && `${headers.connection}`.toLowerCase() === 'close'
    const result = draining ? 'draining' : status >= 500 && status !== 504 ? 'serverError' : 'answered'
    this.#worker.record(result)
    if (result !== 'draining' && status !== 429) this.#count(result)
    if (this.#exchange.isDone) return
    if (status === 429) this.#worker.recordFull()
    if ((draining || status === 429) && (this.#exchange.retry() || this.#exchange.waitAgain())) {
      // A refusal, so the worker has done nothing. Its short answer is read to the end to keep the connection.
      this.#discarding = true
      this.#exchange.retriedAfterAnswer(result)
      return
    }
    const head = responseHead(headers, requestId)
    if (head === undefined || (status >= 300 && status < 400)) {
      this.#exchange.refuse(502, 'the worker sent an answer that cannot be passed on', 'WorkerAnswerInvalid')
      return
    }
    if ((head.contentLength ?? 0) > route.spec.responseBytes) {
      this.#exchange.refuse(502, `the answer is larger than ${route.spec.responseBytes} bytes`, 'ResponseTooLarge')
      return
    }
    // An answer before the whole request came: what is left of the request is not worth keeping the connection for.
    if (!request.complete) response.shouldKeepAlive = false
    this.#contentLength = head.contentLength
    const { heldMs } = this.#exchange
    if (heldMs !== undefined) head.headers.push(heldHeader, `${Math.round(heldMs)}`)
    response.writeHead(status, head.headers)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#discarding || this.#exchange.isDone) return
    const { response, route } = this.#exchange.input
    this.#exchange.responseBytes += chunk.length
    if (this.#exchange.responseBytes > route.spec.responseBytes) {
      this.#exchange.cutOff('ResponseTooLarge')
      return
    }
    // The user may send the next request as soon as the last byte is there. The end must be there too by then: Node's server
    // mistakes a request that comes before it for a pipelined one, and resets the connection when it is large (HPE_PAUSED).
    const isLast = this.#exchange.responseBytes === this.#contentLength
    if (response.write(chunk) || isLast) return
    controller.pause()
    if (this.#waiting) return
    this.#waiting = true
    response.once('drain', () => {
      this.#waiting = false
      controller.resume()
    })
  }

  onResponseEnd(): void {
    this.#end()
    if (this.#discarding || this.#exchange.isDone) return
    this.#exchange.complete()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: unknown): void {
    const discarding = this.#discarding
    this.#end()
    if (discarding || this.#exchange.isDone) return
    const result = error instanceof BodyTooLargeError ? 'undecided' : resultOfError(error, this.started)
    this.#worker.record(result)
    if (result !== 'undecided') this.#count(result)
    this.#exchange.failed(this, error)
  }

  /** Stops the worker's effort: nobody waits for it any more. */
  abandon(): void {
    if (!this.#ended) this.#controller?.abort(new Error('no longer wanted'))
  }

  #count(result: AttemptResult): void {
    if (this.#counted || this.#exchange.input.request.method !== 'POST') return
    this.#counted = true
    const now = this.#exchange.now()
    const { counts } = this.#worker
    if (result === 'answered') counts.answered(now - Math.max(this.#beganAt, this.#exchange.bodyEndedAt()), now)
    else counts.failed(now)
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#worker.outstanding -= 1
  }
}
