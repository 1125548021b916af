import type { Principal } from '../auth/principal.ts'
import type { Route } from '../route/route.ts'
import type { AttemptResult } from '../route/upstream.ts'
import type { Worker } from '../route/worker.ts'
import { type Call, type CallDeps, workerHeaders } from './call.ts'
import { grpcCode } from './code.ts'
import { HoldCall, type HoldCallDeps } from './hold-call.ts'
import { messagePrefix, type RequestMessages } from './request-messages.ts'
import { ResponseMessages } from './response-messages.ts'
import { abandon, followAnswer, resultOfCode, type WorkerStatus } from './worker-answer.ts'
import type { WorkerStream } from './worker-sessions.ts'

const maxRetries = 2
const keptBytes = 65_536

export type UnaryCallDeps = CallDeps &
  HoldCallDeps & {
    /** A revision that is being tried failed a request; the old one is asked in its place. */
    onCanary: (route: Route, what: 'failed') => void
  }

/**
 * A call with one message, from the moment it was let in: to a worker, perhaps another one, and back. A message of up to 64 KiB
 * is kept until the answer begins; a larger one flows through, and can go to another worker only while none has it.
 */
export class UnaryCall {
  readonly #call: Call
  readonly #route: Route
  readonly #deps: UnaryCallDeps
  #stableOnly = false
  readonly #messages: RequestMessages
  readonly #deadline: number
  readonly #first: Buffer
  readonly #isKept: boolean
  readonly #tried: Worker[] = []
  #chunks: Buffer[] = []
  #isComplete = false
  #hasFlowed = false
  #endedAt = 0
  readonly #hold: HoldCall
  #at: { worker: Worker; upstream: WorkerStream; beganAt: number } | undefined

  /** `head` is the message's first bytes as the worker shall see them, `bytes` the whole message as it shall. */
  constructor(
    input: {
      call: Call
      route: Route
      messages: RequestMessages
      head: Buffer
      bytes: number
      deadline: number
      principal: Principal
    },
    deps: UnaryCallDeps,
  ) {
    this.#call = input.call
    this.#route = input.route
    this.#messages = input.messages
    this.#deadline = input.deadline
    this.#deps = deps
    this.#first = Buffer.concat([messagePrefix(input.bytes), input.head])
    this.#isKept = input.bytes <= keptBytes
    this.#hold = new HoldCall(input.call, input.route, input.principal, deps)
  }

  start(): void {
    if (this.#isKept) return // until the message is whole
    this.#messages.pause()
    this.#call.stream.pause()
    this.#tryWorker()
  }

  body(chunk: Buffer): void {
    if (this.#call.isDone) return
    if (this.#isKept) {
      this.#chunks.push(chunk)
      return
    }
    const upstream = this.#at?.upstream.stream
    if (upstream === undefined) return
    this.#hasFlowed = true
    if (!upstream.write(chunk)) this.#pauseUser()
  }

  messageEnd(): void {
    if (this.#call.isDone) return
    this.#isComplete = true
    this.#endedAt = this.#deps.now()
    if (this.#isKept) this.#tryWorker()
    else this.#at?.upstream.stream.end()
  }

  /** Lets go of the worker; the call has ended. */
  stop(): void {
    this.#messages.stop()
    this.#chunks = []
    this.#hold.leave()
    if (this.#at !== undefined) abandon(this.#at.upstream.stream)
  }

  #wait(): void {
    this.#tried.length = 0
    const bytes = this.#first.length + this.#chunks.reduce((sum, { length }) => sum + length, 0)
    this.#hold.wait(bytes, this.#deadline, () => this.#tryWorker())
  }

  #tryWorker(): void {
    if (this.#hold.mustWait) {
      this.#wait()
      return
    }
    const worker = this.#pick()
    if (worker === undefined) {
      if (this.#hold.mayWait(true)) {
        this.#wait()
        return
      }
      this.#call.refuse(
        { status: 503, error: 'the service has no ready worker', headers: { 'retry-after': '2' } },
        'NoReadyWorker',
      )
      return
    }
    this.#tried.push(worker)
    this.#call.attempts += 1
    this.#call.worker = worker.endpoint.pod
    const upstream = worker.grpc.open(workerHeaders(this.#call, this.#deadline - this.#deps.now()))
    if (upstream === undefined) {
      if (!this.#passOver(worker, 'unreachable')) this.#failed('unreachable', false)
      return
    }
    const at = { worker, upstream, beganAt: this.#deps.now() }
    this.#at = at
    worker.outstanding += 1
    const { stream } = upstream
    const responses = new ResponseMessages(this.#route.spec.responseBytes)
    followAnswer(stream, {
      onData: (chunk) => {
        if (this.#at !== at || this.#call.isDone) return
        if (!responses.push(chunk)) {
          this.#count(at, 'answered')
          this.#call.refuse(
            { status: 502, error: `the answer is larger than ${this.#route.spec.responseBytes} bytes` },
            'ResponseTooLarge',
          )
          return
        }
        if (this.#call.reply.write(chunk)) return
        stream.pause()
        this.#call.stream.once('drain', () => stream.resume())
      },
      onEnd: (status, invalid) => {
        worker.outstanding -= 1
        if (this.#at !== at || this.#call.isDone) return
        this.#at = undefined
        if (invalid) this.#invalidAnswer(at)
        else if (status === undefined) this.#broke(at)
        else this.#answered(at, status, responses.completed)
      },
    })
    stream.on('drain', this.#resumeUser)
    if (this.#isKept) stream.end(Buffer.concat([this.#first, ...this.#chunks]))
    else if (stream.pending) stream.once('ready', () => this.#flow(at))
    else this.#flow(at)
  }

  /** A message that cannot be sent twice goes to the old revision, and so does whatever the new one has failed. */
  #pick(): Worker | undefined {
    if (this.#route.spec.canary === undefined) return this.#route.pickOwn(this.#tried)
    const stable = this.#stableOnly || !this.#isKept ? this.#route.pickOwnStable(this.#tried) : undefined
    return stable ?? this.#route.pickOwn(this.#tried)
  }

  /** Gives what a revision that is being tried has failed to the old one: an inference changes nothing. */
  #passOver(worker: Worker, result: AttemptResult): boolean {
    if (!this.#isCanary(worker) || !this.#isKept || this.#call.reply.hasBegun) return false
    if (this.#route.pickOwnStable(this.#tried) === undefined) return false
    this.#stableOnly = true
    this.#deps.onCanary(this.#route, 'failed')
    this.#deps.onUpstreamError(this.#route, result, true)
    this.#tryWorker()
    return true
  }

  #isCanary(worker: Worker): boolean {
    return worker.endpoint.revision === this.#route.spec.canary
  }

  /** A canary that fails is judged by the rollout, which needs to see more than what an ejected worker gets. */
  #record(worker: Worker, result: AttemptResult): void {
    if (!this.#isCanary(worker) || (result !== 'serverError' && result !== 'broken')) worker.record(result)
  }

  // Only once there is a connection, so that a message goes to another worker when none comes about.
  #flow(at: { upstream: WorkerStream }): void {
    if (this.#at !== at || this.#call.isDone) return
    at.upstream.stream.write(this.#first)
    if (this.#isComplete) at.upstream.stream.end()
    else this.#resumeUser()
  }

  #answered(at: { worker: Worker; beganAt: number }, status: WorkerStatus, messages: number): void {
    const result = resultOfCode(status.code)
    this.#record(at.worker, result)
    // With a hint when to come again it is a full queue, without one a message that is too large everywhere.
    const isFull = status.code === grpcCode.RESOURCE_EXHAUSTED && status.retryPushbackMs !== undefined
    if (isFull) at.worker.recordFull(at.worker.outstanding)
    const refused = isFull || status.code === grpcCode.UNAVAILABLE
    if (!refused) this.#count(at, result)
    if ((refused || result === 'serverError') && this.#passOver(at.worker, result)) return
    if (refused && !this.#call.reply.hasBegun && (this.#retry() || this.#waitAgain(false))) {
      this.#deps.onUpstreamError(this.#route, result, true)
      return
    }
    if (status.code === grpcCode.OK && messages !== 1) {
      this.#invalidAnswer(at, true)
      return
    }
    this.#call.end(
      status.code,
      status.message,
      status.retryPushbackMs === undefined ? {} : { 'grpc-retry-pushback-ms': status.retryPushbackMs },
    )
  }

  #invalidAnswer(at: { worker: Worker; beganAt: number }, isCounted = false): void {
    this.#record(at.worker, 'serverError')
    if (!isCounted) this.#count(at, 'serverError')
    else if (this.#call.head.method.name === 'ModelInfer') at.worker.counts.spoiled()
    if (this.#passOver(at.worker, 'serverError')) return
    this.#call.refuse(
      { status: 502, error: 'the worker sent an answer that cannot be passed on' },
      'WorkerAnswerInvalid',
    )
  }

  #broke(at: { worker: Worker; upstream: WorkerStream; beganAt: number }): void {
    const started = at.upstream.hasStarted()
    const result = started ? 'broken' : 'unreachable'
    this.#record(at.worker, result)
    this.#count(at, result)
    if (this.#passOver(at.worker, result)) return
    this.#failed(result, started)
  }

  #failed(result: AttemptResult, started: boolean): void {
    // As for a POST: a worker may have done the work already, so a call that may have reached one is not sent again.
    const mayRepeat = !started || this.#call.head.method.name !== 'ModelInfer'
    const again = () => this.#retry() || (!started && this.#waitAgain(true))
    const retried = !this.#call.reply.hasBegun && mayRepeat && again()
    this.#deps.onUpstreamError(this.#route, result, retried)
    if (retried) return
    if (started) this.#call.refuse({ status: 502, error: 'the worker closed the connection' }, 'WorkerBroke')
    else {
      this.#call.refuse(
        { status: 503, error: 'no worker can be reached', headers: { 'retry-after': '1' } },
        'WorkersUnreachable',
      )
    }
  }

  #retry(): boolean {
    if (this.#hasFlowed || this.#tried.length > maxRetries) return false
    if (this.#route.pickOwn(this.#tried) === undefined || !this.#route.budget.withdraw()) return false
    this.#tryWorker()
    return true
  }

  #waitAgain(unreachable: boolean): boolean {
    if (this.#hasFlowed || !this.#hold.mayWait(unreachable)) return false
    this.#wait()
    return true
  }

  #count(at: { worker: Worker; beganAt: number }, result: AttemptResult): void {
    if (this.#call.head.method.name !== 'ModelInfer') return
    const now = this.#deps.now()
    if (result === 'answered') at.worker.counts.answered(now - Math.max(at.beganAt, this.#endedAt), now)
    else at.worker.counts.failed(now)
  }

  #pauseUser(): void {
    this.#messages.pause()
    this.#call.stream.pause()
  }

  readonly #resumeUser = () => {
    if (this.#call.isDone || !this.#messages.isPaused) return
    this.#messages.resume()
    if (!this.#messages.isPaused) this.#call.stream.resume()
  }
}
