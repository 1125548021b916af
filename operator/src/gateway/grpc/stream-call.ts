import { admit, busy, type Capacity, queuesFull } from '../admission.ts'
import type { Principal } from '../auth/principal.ts'
import type { Refusal } from '../http/refuse.ts'
import type { Route } from '../route/route.ts'
import type { Worker } from '../route/worker.ts'
import { type Call, type CallDeps, pastDeadline, workerHeaders } from './call.ts'
import { grpcCode } from './code.ts'
import { HoldCall, type HoldCallDeps } from './hold-call.ts'
import { messagePrefix, type RequestMessages } from './request-messages.ts'
import { ResponseMessages } from './response-messages.ts'
import { abandon, followAnswer, resultOfCode, type WorkerStatus } from './worker-answer.ts'
import type { WorkerStream } from './worker-sessions.ts'

/** Requests of one stream that may be under way; the user's next one is read when an answer has come. */
const mostUnderWay = 16
const idleMs = 10_000
const pollMs = 50
const oldestMs = 3_600_000
const tooOld: Refusal = { status: 503, error: 'the stream has been open for an hour; open a new one' }

type Upstream = {
  worker: Worker
  upstream: WorkerStream
  responses: ResponseMessages
  /** When each request under way was sent whole; 0 for one that is still coming. */
  sentAt: number[]
}

export type StreamCallDeps = CallDeps &
  HoldCallDeps & {
    capacity: Capacity
    /** Counts a request of a stream. */
    onMessage: (route: Route) => void
  }

/**
 * A ModelStreamInfer call. The user's stream has a stream of its own at a worker while requests are under way and for ten seconds
 * after; between requests it costs no worker anything, and the next one goes to whichever worker is the best choice by then. So
 * an idle stream outlives its workers. Answers keep their order, since one worker at a time gives them.
 */
export class StreamCall {
  readonly #call: Call
  readonly #route: Route
  readonly #deps: StreamCallDeps
  readonly #messages: RequestMessages
  #at: Upstream | undefined
  #userHasEnded = false
  /** The request in `#pending` has taken its places. */
  #isIn = false
  #isDraining = false
  #idle: NodeJS.Timeout | undefined
  #poll: NodeJS.Timeout | undefined
  #pending: Buffer | undefined
  /** Gives back what each request under way has taken of places. */
  readonly #leaves: (() => void)[] = []
  readonly #hold: HoldCall
  readonly #principal: Principal

  constructor(
    input: { call: Call; route: Route; principal: Principal; messages: RequestMessages },
    deps: StreamCallDeps,
  ) {
    this.#call = input.call
    this.#route = input.route
    this.#messages = input.messages
    this.#deps = deps
    this.#principal = input.principal
    this.#hold = new HoldCall(input.call, input.route, input.principal, deps)
    this.#watch()
  }

  /** A request begins: its first bytes and its size as the worker shall see them. */
  head(head: Buffer, bytes: number): void {
    this.#pending = Buffer.concat([messagePrefix(bytes), head])
    this.#pauseUser()
    this.#begin()
  }

  body(chunk: Buffer): void {
    if (this.#call.isDone || this.#at === undefined) return
    if (!this.#at.upstream.stream.write(chunk)) this.#pauseUser()
  }

  messageEnd(): void {
    const at = this.#at
    if (this.#call.isDone || at === undefined) return
    if (at.sentAt.at(-1) === 0) at.sentAt[at.sentAt.length - 1] = this.#deps.now()
    if (at.sentAt.length >= mostUnderWay) this.#pauseUser()
  }

  /** The user sends no more. */
  userEnd(): void {
    this.#userHasEnded = true
    if (!this.#isBusy) this.#endWell()
  }

  /** The gateway shuts down: what is under way is finished, then the stream ends. */
  drain(): void {
    this.#isDraining = true
    if (!this.#isBusy) this.#endDrained()
  }

  stop(): void {
    clearTimeout(this.#idle)
    clearTimeout(this.#poll)
    this.#messages.stop()
    const at = this.#at
    this.#at = undefined
    this.#hold.leave()
    this.#leave(this.#leaves.length)
    if (at === undefined) return
    at.worker.outstanding -= at.sentAt.length
    abandon(at.upstream.stream)
  }

  get #isBusy(): boolean {
    return (this.#at?.sentAt.length ?? 0) > 0 || this.#pending !== undefined
  }

  /** Gives the waiting request to a worker; waits while the service has as many under way as it may. */
  #begin(tried: readonly Worker[] = []): void {
    const pending = this.#pending
    if (pending === undefined || this.#call.isDone) return
    if (!this.#isIn) {
      const admission = admit(this.#route, this.#principal, this.#deps.capacity, this.#deps.now())
      this.#call.key = admission.key
      if (admission.refusal === busy || admission.refusal === queuesFull) {
        this.#poll = setTimeout(() => this.#begin(), pollMs)
        this.#watch()
        return
      }
      if (admission.refusal !== undefined) {
        this.#call.refuse(admission.refusal, admission.failure)
        return
      }
      this.#isIn = true
      this.#leaves.push(admission.leave)
      this.#route.enter()
      this.#route.budget.deposit()
      this.#deps.onMessage(this.#route)
      this.#hold.reset()
      this.#watch()
    }
    if (this.#isAlone && this.#hold.mustWait) {
      this.#wait()
      return
    }
    const at = (tried.length === 0 ? this.#usable() : undefined) ?? this.#open(tried)
    if (at === undefined) {
      if (this.#isAlone && this.#hold.mayWait(true)) {
        this.#wait()
        return
      }
      this.#call.refuse(
        { status: 503, error: 'the service has no ready worker', headers: { 'retry-after': '2' } },
        'NoReadyWorker',
      )
      return
    }
    clearTimeout(this.#idle)
    at.worker.outstanding += 1
    at.sentAt.push(0)
    this.#watch()
    const send = () => {
      if (this.#call.isDone || this.#at !== at) return
      this.#pending = undefined
      this.#isIn = false
      if (at.upstream.stream.write(pending)) this.#resumeUser()
    }
    // What cannot be sent yet is still ours, so that it can go to another worker when no connection comes about.
    if (at.upstream.stream.pending) at.upstream.stream.once('ready', send)
    else send()
  }

  /** The worker's stream that is there, unless it would be better to choose anew. */
  #usable(): Upstream | undefined {
    const at = this.#at
    if (at === undefined) return undefined
    const { stream } = at.upstream
    const isGood = !stream.destroyed && !stream.closed && stream.writable
    if (at.sentAt.length > 0) return at
    if (isGood && this.#route.ownWorkers.includes(at.worker) && !at.worker.isEjected()) return at
    this.#release()
    return undefined
  }

  #open(tried: readonly Worker[]): Upstream | undefined {
    // Requests of a stream are not kept, so that nothing could make good what a revision that is being tried fails.
    const worker = this.#route.pickOwnStable(tried) ?? this.#route.pickOwn(tried)
    if (worker === undefined) return undefined
    this.#call.attempts += 1
    this.#call.worker = worker.endpoint.pod
    const upstream = worker.grpc.open(workerHeaders(this.#call, undefined))
    if (upstream === undefined) return tried.length < 2 ? this.#open([...tried, worker]) : undefined
    const { stream } = upstream
    const responses = new ResponseMessages(this.#route.spec.responseBytes)
    const at: Upstream = { worker, upstream, responses, sentAt: [] }
    this.#at = at
    stream.on('drain', () => this.#resumeUser())
    followAnswer(stream, {
      onData: (chunk) => this.#onData(at, chunk),
      onEnd: (status, invalid) => {
        if (this.#at !== at || this.#call.isDone) return
        this.#onUpstreamEnd(at, status, invalid, tried)
      },
    })
    return at
  }

  #onData(at: Upstream, chunk: Buffer): void {
    if (this.#at !== at || this.#call.isDone) return
    const before = at.responses.completed
    if (!at.responses.push(chunk)) {
      this.#call.refuse(
        { status: 502, error: `the answer is larger than ${this.#route.spec.responseBytes} bytes` },
        'ResponseTooLarge',
      )
      return
    }
    const keepsUp = this.#call.reply.write(chunk)
    if (!keepsUp) {
      at.upstream.stream.pause()
      this.#call.stream.once('drain', () => at.upstream.stream.resume())
    }
    const completed = Math.min(at.responses.completed - before, at.sentAt.length)
    if (completed === 0) return
    const now = this.#deps.now()
    for (const sentAt of at.sentAt.splice(0, completed)) at.worker.counts.answered(sentAt === 0 ? 0 : now - sentAt, now)
    at.worker.record('answered')
    at.worker.outstanding -= completed
    this.#leave(completed)
    this.#watch()
    this.#resumeUser()
    if (this.#isBusy) return
    if (this.#userHasEnded) this.#endWell()
    else if (this.#isDraining) this.#endDrained()
    else this.#idle = setTimeout(() => this.#release(), idleMs)
  }

  /** The worker ended its stream by itself. */
  #onUpstreamEnd(at: Upstream, status: WorkerStatus | undefined, invalid: boolean, tried: readonly Worker[]): void {
    const started = at.upstream.hasStarted()
    const result =
      status === undefined ? (invalid ? 'serverError' : started ? 'broken' : 'unreachable') : resultOfCode(status.code)
    if (at.sentAt.length === 0) {
      // Nothing was under way, so nothing is lost: a worker that drains, or was replaced.
      this.#at = undefined
      clearTimeout(this.#idle)
      return
    }
    at.worker.record(result)
    const now = this.#deps.now()
    if (status?.code !== grpcCode.UNAVAILABLE && status?.code !== grpcCode.RESOURCE_EXHAUSTED) {
      for (const _ of at.sentAt) at.worker.counts.failed(now)
    }
    const unsent = this.#pending !== undefined && at.sentAt.length === 1
    if (unsent && tried.length < 2 && this.#route.budget.withdraw()) {
      this.#deps.onUpstreamError(this.#route, result, true)
      this.#at = undefined
      at.worker.outstanding -= 1
      this.#begin([...tried, at.worker])
      return
    }
    this.#deps.onUpstreamError(this.#route, result, false)
    this.#at = undefined
    at.worker.outstanding -= at.sentAt.length
    if (unsent && !started && this.#hold.mayWait(true)) {
      this.#wait()
      return
    }
    if (invalid) {
      this.#call.refuse(
        { status: 502, error: 'the worker sent an answer that cannot be passed on' },
        'WorkerAnswerInvalid',
      )
    } else if (status !== undefined && status.code !== grpcCode.OK) {
      this.#call.end(status.code, status.message)
    } else if (started) {
      this.#call.refuse({ status: 502, error: 'the worker closed the connection' }, 'WorkerBroke')
    } else {
      this.#call.refuse(
        { status: 503, error: 'no worker can be reached', headers: { 'retry-after': '1' } },
        'WorkersUnreachable',
      )
    }
  }

  /** Ends the stream when no answer comes for as long as one request may take. */
  #watch(): void {
    const own = this.#call.timeLeft()
    if (this.#isBusy) {
      const { requestSeconds } = this.#route.spec
      const error = `no answer within the deadline (at most ${requestSeconds} s)`
      this.#call.endBy(Math.min(own, requestSeconds * 1000), { status: 504, error }, 'DeadlineExceeded')
      return
    }
    const age = this.#call.startedAt + oldestMs - this.#deps.now()
    if (own <= age) this.#call.endBy(own, pastDeadline, 'DeadlineExceeded')
    else this.#call.endBy(age, tooOld, 'StreamTooOld')
  }

  /** Gives the worker's stream back; answers to nothing are not waited for. */
  #release(): void {
    const at = this.#at
    this.#at = undefined
    if (at === undefined) return
    clearTimeout(this.#idle)
    const { stream } = at.upstream
    if (stream.destroyed) return
    stream.end()
    stream.resume()
    setTimeout(() => abandon(stream), 1000).unref()
  }

  #leave(requests: number): void {
    for (const leave of this.#leaves.splice(0, requests)) {
      leave()
      this.#route.leave()
    }
  }

  /** No request is under way but the one that waits, so that there is no order to keep. */
  get #isAlone(): boolean {
    return (this.#at?.sentAt.length ?? 0) === 0
  }

  #wait(): void {
    const bytes = this.#pending?.length ?? 0
    this.#hold.wait(bytes, this.#deps.now() + this.#call.timeLeft(), () => this.#begin())
  }

  #endWell(): void {
    this.#release()
    this.#call.end(grpcCode.OK, undefined)
  }

  #endDrained(): void {
    this.#release()
    this.#call.refuse({ status: 503, error: 'the gateway is shutting down; open a new stream' }, 'Draining')
  }

  #pauseUser(): void {
    this.#messages.pause()
    this.#call.stream.pause()
  }

  #resumeUser(): void {
    if (this.#call.isDone || !this.#messages.isPaused || this.#pending !== undefined) return
    const sentAt = this.#at?.sentAt ?? []
    const isWithin = sentAt.at(-1) === 0
    if (!isWithin && sentAt.length >= mostUnderWay) return
    this.#messages.resume()
    if (!this.#messages.isPaused) this.#call.stream.resume()
  }
}
