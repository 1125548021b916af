import { ownName } from '../../api/placement.ts'
import { callerName, type Principal } from '../auth/principal.ts'
import type { ByteBudget } from '../hold/byte-budget.ts'
import type { HoldEnd, HoldRefusal } from '../hold/hold-queue.ts'
import { heldHeader, holdRefusal } from '../hold/hold-refusal.ts'
import { endAfterBody } from '../http/linger.ts'
import { refuse } from '../http/refuse.ts'
import type { RequestHead } from '../http/request-head.ts'
import type { Target } from '../http/target.ts'
import type { TraceContext } from '../http/trace-context.ts'
import type { Mirror } from '../mirror/mirror.ts'
import type { Route } from '../route/route.ts'
import type { AttemptResult, Upstream } from '../route/upstream.ts'
import type { TraceAttempt } from '../trace-requests.ts'
import { refusedHeader } from '../work/headers.ts'
import { Attempt, type AttemptOwner } from './attempt.ts'
import { mayRepeat, resultOfError } from './failure.ts'
import { BodyTooLargeError, ForwardedBody } from './forwarded-body.ts'
import { readSmallBody, smallBodyBytes } from './read-small-body.ts'
import type { UserRequest, UserResponse } from './user-side.ts'

export type ExchangeInput = {
  request: UserRequest
  response: UserResponse
  head: RequestHead
  target: Target
  trace: TraceContext
  requestId: string
  principal: Principal
  route: Route
  /** Monotonic milliseconds. */
  deadline: number
  /** A request of a peer's gateway for its user. */
  isGuest?: boolean
}

export type ExchangeResult = {
  status: number
  requestBytes: number
  responseBytes: number
  attempts: number
  /** Pod that gave the answer. */
  worker: string | undefined
  /** `own`, or the Peer whose workers gave the answer; undefined when none did. */
  owner: string | undefined
  /** Since a worker was first asked; 0 when none was. */
  busyMs: number
  /** Why the gateway itself gave the answer or cut it off; undefined when the worker's answer went through whole. */
  failure: string | undefined
  /** How long it waited for the service to wake; undefined when it did not. */
  heldMs: number | undefined
}

export type ExchangeDeps = {
  now: () => number
  /** An attempt failed before an answer; `retried` tells whether another followed. */
  onUpstreamError: (route: Route, reason: AttemptResult, retried: boolean) => void
  /** A revision that is being tried failed a request, or was so slow that the old one was asked as well. */
  onCanary: (route: Route, what: 'failed' | 'slow') => void
  /** Copies of requests for a revision that is being tried; may decline. */
  mirror: Mirror
  trialBytes: ByteBudget
  /** A request that waited for the service to wake goes on, or not: why. */
  onHeld: (route: Route, outcome: HoldOutcome, heldMs: number | undefined) => void
  onDone: (input: ExchangeInput, result: ExchangeResult) => void
  /** Makes a span for an attempt of a recorded trace. */
  traceAttempt?: TraceAttempt
}

export type HoldOutcome = 'released' | HoldRefusal | 'left'

// Bodies up to this size are read whole while a revision is being tried, so that another can answer in its place.
const trialBodyBytes = 256 * 1024
const leastHedgeMs = 1000
// How often a request that is under way at a peer looks whether the peer still gives signs of life.
const silenceCheckMs = 250
const maxRetries = 2
const clientClosedStatus = 499 // as nginx logs it; never sent

const unseen = new Set(['NoReadyWorker', 'WorkersUnreachable', 'TooManyHeld', 'NotAwake', 'Draining'])

/** Whether a refusal means that no worker has seen the request, so that it may be sent elsewhere. */
function isUnseen(failure: string, attempts: number): boolean {
  return attempts === 0 || unseen.has(failure)
}

/** One request from the moment it was let in: to a worker, perhaps a second one, and back. Never two answers, never none. */
export class Exchange implements AttemptOwner {
  readonly #input: ExchangeInput
  readonly #deps: ExchangeDeps
  readonly #tried: Upstream[] = []
  /** One, or two while the old revision is asked as well. */
  #live: Attempt[] = []
  #winner: Attempt | undefined
  #stableOnly = false
  #hedgeTimer: NodeJS.Timeout | undefined
  #trialBytes = 0
  #body: Buffer | ForwardedBody | undefined
  #timer: NodeJS.Timeout | undefined
  #done = false
  #attempts = 0
  #dispatchedAt: number | undefined
  #released = false
  #heldSince = 0
  #heldUntil: number | undefined
  #cancelHold: (() => void) | undefined
  heldMs: number | undefined
  requestBytes = 0
  responseBytes = 0

  constructor(input: ExchangeInput, deps: ExchangeDeps) {
    this.#input = input
    this.#deps = deps
  }

  start(): void {
    const { request, response, head, route, deadline } = this.#input
    route.enter()
    route.budget.deposit()
    this.#timer = setTimeout(this.#onDeadline, Math.max(1, deadline - this.#deps.now()))
    response.on('close', this.#onClose)
    if (head.expectsContinue) response.writeContinue()
    const length = head.contentLength ?? 0
    if (!head.chunked && length === 0) {
      this.#tryWorker()
    } else if (!head.chunked && (length <= smallBodyBytes || this.#isKeptForTrial(length))) {
      readSmallBody(request, (body) => {
        if (this.#done) return
        this.#body = body
        this.requestBytes = body.length
        this.#tryWorker()
      })
    } else {
      this.#body = new ForwardedBody(request, route.spec.requestBytes, this.#deps.now)
      this.#tryWorker()
    }
  }

  get input(): ExchangeInput {
    return this.#input
  }

  get isDone(): boolean {
    return this.#done
  }

  now(): number {
    return this.#deps.now()
  }

  bodyEndedAt(): number {
    return this.#body instanceof ForwardedBody ? this.#body.endedAt : 0
  }

  get canReplay(): boolean {
    return !(this.#body instanceof ForwardedBody) || !this.#body.consumed
  }

  /** Takes another worker after an attempt that the user has seen nothing of; false when there is none or the budget is spent. */
  retry(): boolean {
    if (this.#done || !this.canReplay || this.#tried.length > maxRetries) return false
    if (this.#input.route.pick(this.#tried) === undefined || !this.#input.route.budget.withdraw()) return false
    this.#forgetLive()
    this.#tryWorker()
    return true
  }

  /**
   * After a refusal, where the service may be asleep: a worker that went away just now is waited for, and so is room in the queue of
   * one that has only come up, for requests that waited before.
   */
  waitAgain(unreachable = false): boolean {
    const { route } = this.#input
    if (this.#done || !this.canReplay || !route.mayHold) return false
    if (!unreachable && this.heldMs === undefined && route.workers.some((worker) => !worker.isEjected())) return false
    if (this.#heldUntil !== undefined && this.#heldUntil <= this.#deps.now()) return false
    this.#wait()
    return true
  }

  get trialBytes(): ByteBudget {
    return this.#deps.trialBytes
  }

  passOver(attempt: Attempt, result: AttemptResult): boolean {
    if (this.#done || this.#input.response.headersSent) return false
    const others = this.#live.filter((other) => other !== attempt)
    if (others.length === this.#live.length) return true
    const { route } = this.#input
    if (others.length > 0) {
      this.#live = others
      // The one of the old revision, if this was its refusal, may be asked again when the other fails too.
      attempt.copy?.cancel()
      const index = this.#tried.indexOf(attempt.worker)
      if (!attempt.isCanary && index >= 0) this.#tried.splice(index, 1)
    } else {
      if (!attempt.isCanary || route.pickStable(this.#tried) === undefined) return false
      this.#live = []
      this.#stableOnly = true
      this.#tryWorker()
    }
    if (attempt.isCanary) this.#deps.onCanary(route, 'failed')
    this.#deps.onUpstreamError(route, result, true)
    return true
  }

  settle(attempt: Attempt): boolean {
    if (this.#winner !== undefined) return this.#winner === attempt
    this.#winner = attempt
    clearTimeout(this.#hedgeTimer)
    for (const other of this.#live) {
      if (other === attempt) continue
      if (other.isCanary) other.recordSlow()
      other.copy?.cancel()
      other.abandon()
    }
    this.#live = [attempt]
    return true
  }

  failed(attempt: Attempt, error: unknown): void {
    if (this.#done || !this.#live.includes(attempt)) return
    if (error instanceof BodyTooLargeError) {
      this.refuse(413, `the body is larger than ${this.#input.route.spec.requestBytes} bytes`, 'RequestTooLarge')
      return
    }
    const result = resultOfError(error, attempt.started)
    if (this.passOver(attempt, result)) return
    const repeatable = mayRepeat(error, { started: attempt.started, method: this.#input.request.method })
    const again = () => this.retry() || (!attempt.started && this.waitAgain(true))
    const retried = !this.#input.response.headersSent && repeatable && again()
    this.#deps.onUpstreamError(this.#input.route, result, retried)
    if (retried) return
    if (this.#input.response.headersSent) this.cutOff('WorkerBroke')
    else if (attempt.started) this.refuse(502, 'the worker closed the connection', 'WorkerBroke')
    else this.refuse(503, 'no worker can be reached', 'WorkersUnreachable', { 'retry-after': '1' })
  }

  retriedAfterAnswer(result: AttemptResult): void {
    this.#deps.onUpstreamError(this.#input.route, result, true)
  }

  /** Answers in the gateway's own name; only before anything of a worker's answer was sent. */
  refuse(status: number, error: string, failure: string, headers: Record<string, string> = {}): void {
    const { request, response, requestId } = this.#input
    if (!this.#stop()) return
    if (this.heldMs !== undefined) headers[heldHeader] = `${Math.round(this.heldMs)}`
    if (this.#input.isGuest === true && isUnseen(failure, this.#attempts)) headers[refusedHeader] = failure
    this.responseBytes = refuse(request, response, { status, error, headers }, requestId)
    this.#report(status, failure)
  }

  /** Ends an answer that has begun and cannot be completed: closing the connection is the only way left to say so. */
  cutOff(failure: string): void {
    if (!this.#stop()) return
    this.#input.response.destroy()
    this.#report(this.#input.response.statusCode, failure)
  }

  complete(): void {
    const { request, response } = this.#input
    if (!this.#stop()) return
    endAfterBody(request, response)
    this.#report(response.statusCode, undefined)
  }

  #tryWorker(): void {
    const { route, request } = this.#input
    if (!this.#released && route.mustWait()) {
      this.#wait()
      return
    }
    const worker = this.#pick()
    if (worker === undefined) {
      if (this.waitAgain(true)) return
      this.refuse(503, 'the service has no ready worker', 'NoReadyWorker', { 'retry-after': '2' })
      return
    }
    // undici marks a stream that it has given up, even an untouched one.
    if (this.#body instanceof ForwardedBody && this.#attempts > 0) {
      this.#body = new ForwardedBody(request, route.spec.requestBytes, this.#deps.now)
    }
    const isCanary = this.#isCanary(worker)
    this.#dispatch(worker, isCanary)
    if (isCanary) this.#hedgeTimer = setTimeout(this.#hedge, this.#hedgeMs())
    else if (worker.owner !== ownName && !(this.#body instanceof ForwardedBody)) this.#watchSilence()
  }

  /** A body that cannot be sent twice goes to the old revision, and so does whatever the new one has failed. */
  #pick(): Upstream | undefined {
    const { route } = this.#input
    if (route.spec.canary === undefined) return route.pick(this.#tried)
    const stable = this.#stableOnly || this.#body instanceof ForwardedBody ? route.pickStable(this.#tried) : undefined
    return stable ?? route.pick(this.#tried)
  }

  #isCanary(worker: Upstream): boolean {
    const { route } = this.#input
    return (
      worker.endpoint.revision === route.spec.canary &&
      !(this.#body instanceof ForwardedBody) &&
      route.pickStable(this.#tried) !== undefined
    )
  }

  #isKeptForTrial(bytes: number): boolean {
    const { canary, mirror } = this.#input.route.spec
    if ((canary === undefined && mirror === undefined) || bytes > trialBodyBytes) return false
    if (!this.#deps.trialBytes.take(bytes)) return false
    this.#trialBytes = bytes
    return true
  }

  /** When the old revision is asked as well: long after it would have answered, but while there is time for it to answer. */
  #hedgeMs(): number {
    const { route, deadline } = this.#input
    const now = this.#deps.now()
    const usual = route.pickStable(this.#tried)?.counts.recentP90Ms(now) ?? 0
    return Math.max(1, Math.min(Math.max(10 * usual, leastHedgeMs), (deadline - now) / 2))
  }

  readonly #hedge = () => {
    const { route, response } = this.#input
    if (this.#done || response.headersSent || this.#winner !== undefined || this.#live.length !== 1) return
    const worker = route.pickStable(this.#tried)
    if (worker === undefined || worker.outstanding >= route.spec.queueDepth) return
    this.#stableOnly = true
    this.#deps.onCanary(route, 'slow')
    this.#dispatch(worker, false)
  }

  #watchSilence(): void {
    clearTimeout(this.#hedgeTimer)
    this.#hedgeTimer = setTimeout(this.#askBesideSilent, silenceCheckMs)
  }

  /** Somebody else is asked as well where a peer falls silent: whoever answers first wins. The peer may be back in a moment: ADR 0026. */
  readonly #askBesideSilent = () => {
    if (this.#done || this.#winner !== undefined || this.#attempts > maxRetries) return
    const [attempt, ...others] = this.#live
    const other = attempt?.worker.isSilent() === true && others.length === 0 ? this.#pickHealthy() : undefined
    if (other !== undefined && this.#input.route.budget.withdraw()) {
      this.#deps.onUpstreamError(this.#input.route, 'unreachable', true)
      this.#dispatch(other, false)
    }
    this.#watchSilence()
  }

  #pickHealthy(): Upstream | undefined {
    const { route } = this.#input
    const other = route.spec.canary === undefined ? route.pick(this.#tried) : route.pickStable(this.#tried)
    return other?.isEjected() === true ? undefined : other
  }

  #dispatch(worker: Upstream, isCanary: boolean): void {
    const { head, trace, requestId, target, request, route, principal } = this.#input
    this.#tried.push(worker)
    this.#attempts += 1
    const span = this.#deps.traceAttempt?.(trace, route, worker, this.#attempts)
    const headers = [
      ...head.forwarded,
      'x-request-id',
      requestId,
      'traceparent',
      span?.traceparent ?? trace.traceparent,
      'x-hansa-timeout-ms',
      String(Math.max(1, Math.floor(this.#input.deadline - this.#deps.now()))),
    ]
    if (trace.tracestate !== undefined) headers.push('tracestate', trace.tracestate)
    if (this.#body instanceof ForwardedBody && head.contentLength !== undefined) {
      headers.push('content-length', String(head.contentLength))
    }
    const attempt = new Attempt(this, worker, isCanary, span?.ended)
    this.#copyFor(attempt, headers)
    this.#live.push(attempt)
    this.#dispatchedAt ??= this.#deps.now()
    worker.outstanding += 1
    worker.dispatch(
      {
        path: target.workerPath,
        // readHead has let only these through.
        method: request.method as 'GET' | 'HEAD' | 'POST',
        headers,
        body: this.#body ?? null,
        callerName: callerName(principal),
      },
      attempt,
    )
  }

  /** The attempts so far have come to nothing. */
  #forgetLive(): void {
    for (const { copy } of this.#live) copy?.cancel()
    this.#live = []
  }

  /** Answers of the old revision are compared, on a sample, with what the new one would have said. */
  #copyFor(attempt: Attempt, headers: readonly string[]): void {
    const { route, target } = this.#input
    const body = this.#body
    const { mirror } = route.spec
    if (mirror === undefined || !Buffer.isBuffer(body) || attempt.worker.endpoint.revision === mirror.revision) return
    attempt.copy = this.#deps.mirror.draw(route, { path: target.workerPath, headers, body })
  }

  #wait(): void {
    const { route, principal, deadline } = this.#input
    const now = this.#deps.now()
    this.#heldUntil ??= route.holdUntil(deadline)
    this.#heldSince = now
    this.#tried.length = 0
    this.#forgetLive()
    let ended = false
    const cancel = route.hold.wait(
      {
        caller: callerName(principal),
        until: this.#heldUntil,
        bytes: Buffer.isBuffer(this.#body) ? this.#body.length : 0,
      },
      (end) => {
        ended = true
        this.#onHoldEnd(end)
      },
    )
    // A full queue refuses before it returns.
    if (!ended) this.#cancelHold = cancel
  }

  #onHoldEnd(end: HoldEnd): void {
    const { route, deadline } = this.#input
    this.#cancelHold = undefined
    const outcome = end.released ? 'released' : end.reason
    if (outcome !== 'full') this.heldMs = (this.heldMs ?? 0) + end.heldMs
    this.#deps.onHeld(route, outcome, this.heldMs)
    if (end.released) {
      this.#released = true
      this.#tryWorker()
      return
    }
    if (end.reason === 'waited' && this.#deps.now() >= deadline - 1) {
      this.#onDeadline()
      return
    }
    const { refusal, failure } = holdRefusal(end, route.spec.holdSeconds)
    this.refuse(refusal.status, refusal.error, failure, { ...refusal.headers })
  }

  readonly #onDeadline = () => {
    if (this.#done) return
    this.#leaveLine('waited')
    if (!this.#input.response.headersSent) for (const attempt of this.#live) attempt.recordSlow()
    const { request, response, route } = this.#input
    if (response.headersSent) this.cutOff('DeadlineExceeded')
    else if (!request.complete && this.#attempts === 0 && this.#heldUntil === undefined) {
      this.refuse(408, 'the request body did not arrive in time', 'RequestTimeout')
    } else
      this.refuse(504, `no answer within the deadline (at most ${route.spec.requestSeconds} s)`, 'DeadlineExceeded')
  }

  readonly #onClose = () => {
    if (this.#stop()) this.#report(clientClosedStatus, 'ClientClosed')
  }

  /** Ends the exchange, whatever is under way; false when it has ended before. */
  #stop(): boolean {
    if (this.#done) return false
    this.#done = true
    clearTimeout(this.#timer)
    this.#leaveLine('left')
    this.#input.route.leave()
    clearTimeout(this.#hedgeTimer)
    for (const attempt of this.#live) {
      attempt.copy?.cancel()
      attempt.abandon()
    }
    this.#deps.trialBytes.give(this.#trialBytes)
    this.#trialBytes = 0
    return true
  }

  #leaveLine(outcome: HoldOutcome): void {
    if (this.#cancelHold === undefined) return
    this.#cancelHold()
    this.#cancelHold = undefined
    this.heldMs = (this.heldMs ?? 0) + this.#deps.now() - this.#heldSince
    this.#deps.onHeld(this.#input.route, outcome, this.heldMs)
  }

  #report(status: number, failure: string | undefined): void {
    if (this.#body instanceof ForwardedBody) this.requestBytes = this.#body.bytes
    const worker = this.#winner?.worker ?? this.#tried.at(-1)
    this.#deps.onDone(this.#input, {
      status,
      requestBytes: this.requestBytes,
      responseBytes: this.responseBytes,
      attempts: this.#attempts,
      worker: worker?.endpoint.pod,
      owner: worker?.owner,
      busyMs: this.#dispatchedAt === undefined ? 0 : this.#deps.now() - this.#dispatchedAt,
      failure,
      heldMs: this.heldMs,
    })
  }
}
