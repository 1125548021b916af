import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { ownName } from '../../api/placement.ts'
import type { KeyEntry } from '../auth/access-key.ts'
import type { Principal } from '../auth/principal.ts'
import type { ExchangeResult } from '../forward/exchange.ts'
import type { Refusal } from '../http/refuse.ts'
import type { TraceContext } from '../http/trace-context.ts'
import type { Route } from '../route/route.ts'
import type { AttemptResult } from '../route/upstream.ts'
import type { CallHead } from './call-head.ts'
import { codeOfStatus, grpcCode, statusOfCode } from './code.ts'
import { Reply } from './reply.ts'

export type CallDeps = {
  /** Monotonic milliseconds. */
  now: () => number
  /** An attempt failed before an answer; `retried` tells whether another followed. */
  onUpstreamError: (route: Route, reason: AttemptResult, retried: boolean) => void
  onEnded: (call: Call, result: ExchangeResult, code: number) => void
}

export const pastDeadline: Refusal = { status: 504, error: 'the deadline of the call has passed' }
const longestTimerMs = 2_147_483_647

/** One call from its metadata to its end: exactly one status is sent and reported, whatever happens. */
export class Call {
  readonly stream: ServerHttp2Stream
  readonly head: CallHead
  readonly requestId: string
  readonly trace: TraceContext
  readonly startedAt: number
  readonly reply: Reply
  principal: Principal | undefined
  route: Route | undefined
  requestBytes = 0
  attempts = 0
  worker: string | undefined
  /** The AccessKey that let the caller in. */
  key: KeyEntry | undefined
  isDone = false
  /** What the call holds; run once when it ends, in whatever way. */
  onStop: () => void = () => {}
  #timer: NodeJS.Timeout | undefined
  readonly #deps: CallDeps

  constructor(
    input: { stream: ServerHttp2Stream; head: CallHead; requestId: string; trace: TraceContext; startedAt: number },
    deps: CallDeps,
  ) {
    this.stream = input.stream
    this.head = input.head
    this.requestId = input.requestId
    this.trace = input.trace
    this.startedAt = input.startedAt
    this.#deps = deps
    this.reply = new Reply(input.stream, input.requestId)
    // `close` follows, and says the same of all ways to go.
    input.stream.on('error', () => undefined)
    // A stream that is paused keeps what it holds for a reader, also when its user has reset it.
    input.stream.once('aborted', () => input.stream.destroy())
    input.stream.once('close', () => this.#finish(grpcCode.CANCELLED, 'ClientClosed', 499))
    if (input.head.timeoutMs !== undefined) this.endBy(input.head.timeoutMs, pastDeadline, 'DeadlineExceeded')
  }

  /** Refuses the call after that time; the last such order counts. */
  endBy(milliseconds: number, refusal: Refusal, failure: string): void {
    clearTimeout(this.#timer)
    if (this.isDone) return
    this.#timer = setTimeout(() => this.refuse(refusal, failure), Math.min(longestTimerMs, Math.max(1, milliseconds)))
  }

  /** Milliseconds that are left of the user's own deadline; infinite without one. */
  timeLeft(): number {
    return this.startedAt + (this.head.timeoutMs ?? Number.POSITIVE_INFINITY) - this.#deps.now()
  }

  /** Ends the call in the gateway's own name, with the words of the REST answer. */
  refuse({ status, error, headers }: Refusal, failure: string): void {
    const retryAfter = headers?.['retry-after']
    const pushback: OutgoingHttpHeaders =
      retryAfter === undefined ? {} : { 'grpc-retry-pushback-ms': String(Number(retryAfter) * 1000) }
    const code = codeOfStatus(status)
    if (!this.#finish(code, failure, status)) return
    this.reply.end(code, error, { headers: pushback })
  }

  /** Ends the call with a worker's status; `message` is as the worker encoded it. */
  end(code: number, message: string | undefined, headers: OutgoingHttpHeaders = {}): void {
    if (!this.#finish(code, undefined, statusOfCode(code))) return
    this.reply.end(code, message, { encoded: true, headers })
  }

  /** False when the call has ended before. */
  #finish(code: number, failure: string | undefined, status: number): boolean {
    if (this.isDone) return false
    this.isDone = true
    clearTimeout(this.#timer)
    this.onStop()
    this.#deps.onEnded(
      this,
      {
        status,
        requestBytes: this.requestBytes,
        responseBytes: this.reply.bytes,
        attempts: this.attempts,
        worker: this.worker,
        owner: this.worker === undefined ? undefined : ownName,
        busyMs: 0,
        failure,
        heldMs: this.reply.heldMs,
      },
      code,
    )
    return true
  }
}

/** What a worker is told of a call. `timeoutMs` is what is left of its deadline; streams have none of their own there. */
export function workerHeaders(call: Call, timeoutMs: number | undefined): OutgoingHttpHeaders {
  const { head, trace, requestId } = call
  return {
    ':method': 'POST',
    ':path': head.method.path,
    'content-type': 'application/grpc',
    te: 'trailers',
    'grpc-accept-encoding': 'identity',
    'x-request-id': requestId,
    traceparent: trace.traceparent,
    ...(trace.tracestate === undefined ? {} : { tracestate: trace.tracestate }),
    ...(head.userAgent === undefined ? {} : { 'user-agent': head.userAgent }),
    ...(timeoutMs === undefined ? {} : { 'x-hansa-timeout-ms': String(Math.max(1, Math.floor(timeoutMs))) }),
  }
}
