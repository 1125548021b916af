import type { Dispatcher } from 'undici'
import type { ByteBudget } from '../hold/byte-budget.ts'
import { heldHeader } from '../hold/hold-refusal.ts'
import { responseHead } from '../http/response-head.ts'
import type { AnswerCopy } from '../mirror/answer-copy.ts'
import type { Route } from '../route/route.ts'
import type { AttemptResult, Upstream } from '../route/upstream.ts'
import { ownerHeader, refusedHeader } from '../work/headers.ts'
import { NotTakenError } from '../work/lost.ts'
import { resultOfAnswer, resultOfError } from './failure.ts'
import { BodyTooLargeError } from './forwarded-body.ts'
import { KeptAnswer } from './kept-answer.ts'
import type { UserRequest, UserResponse } from './user-side.ts'

/** What an attempt needs of the exchange that it belongs to. */
export type AttemptOwner = {
  readonly input: { request: UserRequest; response: UserResponse; requestId: string; route: Route; isGuest?: boolean }
  readonly isDone: boolean
  responseBytes: number
  now(): number
  /** When the last byte of the request came in; 0 for a body that was there before the attempt. */
  bodyEndedAt(): number
  readonly heldMs: number | undefined
  /** Room for what is kept of requests and answers while a revision is being tried. */
  readonly trialBytes: ByteBudget
  retry(): boolean
  /** Waits in line once more after a worker refused. */
  waitAgain(): boolean
  /** Whether the request goes on without this attempt: on the old revision, or with the other of two attempts. */
  passOver(attempt: Attempt, result: AttemptResult): boolean
  /** Whether this attempt's answer is the one that the user gets; ends the other, if there are two. */
  settle(attempt: Attempt): boolean
  retriedAfterAnswer(result: AttemptResult): void
  failed(attempt: Attempt, error: unknown): void
  refuse(status: number, error: string, failure: string): void
  cutOff(failure: string): void
  complete(): void
}

/** One try with one worker, as undici's handler. After `abandon`, or once a retry was started, nothing of it reaches the user. */
export class Attempt implements Dispatcher.DispatchHandler {
  started = false
  /** Where a copy of the answer goes, for comparison with another revision's. */
  copy: AnswerCopy | undefined
  #controller: Dispatcher.DispatchController | undefined
  #ended = false
  #discarding = false
  #waiting = false
  #counted = false
  #failed = false
  #contentLength: number | undefined
  #kept: KeptAnswer | undefined
  readonly worker: Upstream
  /** A revision that is being tried: its failures are made good elsewhere. */
  readonly isCanary: boolean
  readonly #exchange: AttemptOwner
  readonly #beganAt: number
  readonly #onEnd: ((status: number | undefined) => void) | undefined
  #status: number | undefined

  constructor(
    exchange: AttemptOwner,
    worker: Upstream,
    isCanary: boolean,
    onEnd?: (status: number | undefined) => void,
  ) {
    this.#exchange = exchange
    this.worker = worker
    this.isCanary = isCanary
    this.#onEnd = onEnd
    this.#beganAt = exchange.now()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    // The user left, or the deadline passed, while this waited for a connection.
    if (this.#discarding || this.#exchange.isDone) {
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
    this.#status = status
    const { requestId, route, isGuest = false } = this.#exchange.input
    const result = resultOfAnswer(status, headers, this.worker.owner)
    const refused = result === 'draining' || result === 'refused' || status === 429
    this.#record(result)
    if (!refused) this.#count(result)
    if (this.#discarding || this.#exchange.isDone) return
    if (!refused) this.worker.recordLatency(this.#waitedMs())
    if (status === 429) this.worker.recordFull(this.worker.outstanding - 1)
    // The short answer of a refusal or failure is read to the end to keep the connection.
    if ((refused || result === 'serverError') && this.#exchange.passOver(this, result)) {
      this.#discarding = true
      return
    }
    if (refused && (this.#exchange.retry() || this.#exchange.waitAgain())) {
      // A refusal, so the worker has done nothing.
      this.#discarding = true
      this.#exchange.retriedAfterAnswer(result)
      return
    }
    if (result === 'refused') {
      this.#discarding = true
      this.#exchange.refuse(
        503,
        `the owner that serves this now refused the request: ${headers[refusedHeader]}`,
        'PeerRefused',
      )
      this.#controller?.abort(new Error('no longer wanted'))
      return
    }
    const head = responseHead(headers, requestId)
    if (head === undefined || (status >= 300 && status < 400)) {
      this.#invalid('the worker sent an answer that cannot be passed on', 'WorkerAnswerInvalid')
      return
    }
    if ((head.contentLength ?? 0) > route.spec.responseBytes) {
      this.#invalid(`the answer is larger than ${route.spec.responseBytes} bytes`, 'ResponseTooLarge')
      return
    }
    if (!isGuest) head.headers.push(ownerHeader, this.worker.owner)
    else if (refused) head.headers.push(refusedHeader, result === 'draining' ? 'WorkersDraining' : 'QueuesFull')
    this.#contentLength = head.contentLength
    if (this.isCanary) this.#kept = new KeptAnswer(status, head.headers, this.#exchange.trialBytes)
    else this.#begin(status, head.headers)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#discarding || this.#exchange.isDone) return
    if (this.#kept !== undefined) {
      if (this.#kept.add(chunk)) return
      this.#release()
    } else this.#write(controller, chunk)
  }

  onResponseEnd(): void {
    this.#end()
    if (this.#discarding || this.#exchange.isDone) return
    if (this.#kept !== undefined && !this.#release()) return
    this.copy?.end()
    this.#exchange.complete()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: unknown): void {
    const discarding = this.#discarding
    // Whatever was sent reached nobody.
    if (error instanceof NotTakenError) this.started = false
    this.#drop()
    this.#end()
    if (discarding || this.#exchange.isDone) return
    const result = error instanceof BodyTooLargeError ? 'undecided' : resultOfError(error, this.started)
    this.#record(result)
    if (result !== 'undecided') this.#count(result)
    this.#exchange.failed(this, error)
  }

  /** Stops the worker's effort: nobody waits for it any more. */
  abandon(): void {
    this.#discarding = true
    this.#drop()
    if (!this.#ended) this.#controller?.abort(new Error('no longer wanted'))
  }

  /** The answer did not come in time: counts for the revision as one that took at least this long. */
  recordSlow(): void {
    if (this.started && !this.#counted) this.#count('answered')
  }

  #begin(status: number, headers: string[]): boolean {
    if (!this.#exchange.settle(this)) {
      this.abandon()
      return false
    }
    const { request, response } = this.#exchange.input
    const { heldMs } = this.#exchange
    if (heldMs !== undefined) headers.push(heldHeader, `${Math.round(heldMs)}`)
    // An answer before the whole request came: what is left of the request is not worth keeping the connection for.
    if (!request.complete) response.shouldKeepAlive = false
    this.copy?.begin(status, headers)
    response.writeHead(status, headers)
    return true
  }

  #write(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { response, route } = this.#exchange.input
    this.#exchange.responseBytes += chunk.length
    if (this.#exchange.responseBytes > route.spec.responseBytes) {
      this.#exchange.cutOff('ResponseTooLarge')
      return
    }
    this.copy?.add(chunk)
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

  /** Passes on what was kept of a canary's answer; false when the user got another one. */
  #release(): boolean {
    const kept = this.#drop()
    if (kept === undefined || this.#controller === undefined || !this.#begin(kept.status, kept.headers)) return false
    for (const chunk of kept.chunks) if (!this.#exchange.isDone) this.#write(this.#controller, chunk)
    return !this.#exchange.isDone
  }

  #drop(): KeptAnswer | undefined {
    const kept = this.#kept
    this.#kept = undefined
    kept?.free()
    return kept
  }

  #invalid(error: string, failure: string): void {
    this.#count('broken')
    if (this.#exchange.passOver(this, 'broken')) {
      this.abandon()
      return
    }
    this.#exchange.refuse(502, error, failure)
  }

  #record(result: AttemptResult): void {
    // A canary that fails is judged by the rollout, which needs to see more than what an ejected worker gets.
    if (this.isCanary && (result === 'serverError' || result === 'broken')) return
    this.worker.record(result)
  }

  #count(result: AttemptResult): void {
    if (this.#exchange.input.request.method !== 'POST') return
    const now = this.#exchange.now()
    const { counts } = this.worker
    if (this.#counted) {
      // Good until its head came.
      if (result !== 'answered' && !this.#failed) counts.spoiled()
      this.#failed = true
      return
    }
    this.#counted = true
    this.#failed = result !== 'answered'
    if (result === 'answered') counts.answered(this.#waitedMs(), now)
    else counts.failed(now)
  }

  /** Milliseconds since the request was there whole. */
  #waitedMs(): number {
    return this.#exchange.now() - Math.max(this.#beganAt, this.#exchange.bodyEndedAt())
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.worker.outstanding -= 1
    this.#onEnd?.(this.#status)
  }
}
