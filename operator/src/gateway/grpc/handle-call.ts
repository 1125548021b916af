import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { admit, badToken, type Capacity, forbidden, keysUnknown, unauthenticated } from '../admission.ts'
import { type Authenticator, bearerToken, type Verdict } from '../auth/authenticator.ts'
import type { Principal } from '../auth/principal.ts'
import type { Finished } from '../handle-request.ts'
import type { Refusal } from '../http/refuse.ts'
import { continueTrace, requestIdFrom } from '../http/trace-context.ts'
import type { Route } from '../route/route.ts'
import type { RouteTable } from '../route/route-table.ts'
import { Call, type CallDeps } from './call.ts'
import { parseServiceName, readCallHead, type ServiceName } from './call-head.ts'
import { codeOfStatus, grpcCode } from './code.ts'
import type { HoldCallDeps } from './hold-call.ts'
import { findModelName, withModelName } from './model-name.ts'
import { ownAnswer } from './own-answers.ts'
import { Reply } from './reply.ts'
import { RequestMessages } from './request-messages.ts'
import { StreamCall } from './stream-call.ts'
import { UnaryCall, type UnaryCallDeps } from './unary-call.ts'

export type CallHandlerDeps = {
  authenticator: Authenticator
  routes: RouteTable
  /** Monotonic milliseconds. */
  now: () => number
  randomHex: (bytes: number) => string
  isReady: () => boolean
  capacity: Capacity
  onUpstreamError: CallDeps['onUpstreamError']
  onHeld: HoldCallDeps['onHeld']
  onCanary: UnaryCallDeps['onCanary']
  onStreamMessage: (route: Route) => void
  onFinished: (finished: Finished) => void
  /** Whether a trace that begins here is recorded. */
  sampleNew?: () => boolean
  signal: AbortSignal
}

export type CallHandler = {
  handle(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, rawHeaders: string[]): void
  /** Ends streams as soon as nothing of theirs is under way. */
  drain(): void
  /** ModelStreamInfer calls that are open. */
  openStreams(): number
}

export const draining: Refusal = { status: 503, error: 'the gateway is shutting down; open a new stream' }
const notLoadable: Refusal = {
  status: 501,
  error: 'models are loaded by applying a Model and an InferenceService, not by this call',
}
const noService: Refusal = {
  status: 400,
  error: 'name the service: model_name <namespace>/<service>, or the metadata hansa-service: <namespace>/<service>',
}
const badMessage: Refusal = { status: 400, error: 'the message is not a valid Protocol Buffers message' }
const cutShort: Refusal = { status: 400, error: 'the message ends before its declared length' }
const noMessage: Refusal = { status: 400, error: 'the call holds no message' }
const waitedTooLong: Refusal = { status: 408, error: 'the request body did not arrive in time' }

/** Makes what takes each gRPC call: metadata, authentication, service, authorisation, bounds, then forward. */
export function createCallHandler(deps: CallHandlerDeps): CallHandler {
  const { authenticator, routes, now, randomHex } = deps
  const streams = new Map<Call, StreamCall | undefined>()
  let isDraining = false

  const callDeps: CallDeps = {
    now,
    onUpstreamError: deps.onUpstreamError,
    onEnded: (call, result, code) => {
      streams.delete(call)
      const { namespace, service } = call.route?.spec ?? call.head.service ?? {}
      deps.onFinished({
        requestId: call.requestId,
        method: 'POST',
        startedAt: call.startedAt,
        result,
        target:
          namespace === undefined || service === undefined
            ? undefined
            : { namespace, service, workerPath: call.head.method.path, path: call.head.method.path },
        trace: call.trace,
        principal: call.principal,
        route: call.route,
        key: call.key,
        grpc: { method: call.head.method.name, code },
      })
    },
  }

  /** Who may go on; a call that is refused has ended when this gives undefined. */
  async function authenticate(call: Call, token: string): Promise<Principal | undefined> {
    const known = authenticator.known(token)
    if (known !== undefined) return known
    let verdict: Verdict
    try {
      verdict = await authenticator.verify(token, deps.signal)
    } catch {
      verdict = { refused: 'unavailable' }
    }
    if (call.isDone) return undefined
    if ('principal' in verdict) return verdict.principal
    if (verdict.refused === 'unavailable') call.refuse(keysUnknown, 'KeysUnknown')
    else call.refuse(badToken, 'TokenInvalid')
    return undefined
  }

  /** The service of a call if the caller may use it; else the call has ended. */
  function authorise(call: Call, principal: Principal, name: ServiceName): Route | undefined {
    const route = routes.get(name.namespace, name.service)
    if (route !== undefined) call.route = route
    if (route?.allows(principal) === true) return route
    call.refuse(forbidden, 'Forbidden')
    return undefined
  }

  function takeMessages(call: Call, principal: Principal, token: string): void {
    const { stream, head } = call
    let route: Route | undefined
    let unary: UnaryCall | undefined
    let streaming: StreamCall | undefined
    if (head.service !== undefined) {
      route = authorise(call, principal, head.service)
      if (route === undefined) return
    } else if (head.method.use === 'unnamed') {
      call.refuse(noService, 'ServiceNotNamed')
      return
    }

    const isTooLarge = (bytes: number): boolean => {
      if (route === undefined || bytes <= route.spec.requestBytes) return false
      call.refuse({ status: 413, error: `the body is larger than ${route.spec.requestBytes} bytes` }, 'RequestTooLarge')
      return true
    }

    /** The head as the worker shall see it; undefined when the call has ended. */
    function addressed(part: Buffer, bytes: number): Buffer | undefined {
      if (head.method.use === 'unnamed') return part
      const field = findModelName(part, bytes)
      if (field === 'invalid') {
        call.refuse(badMessage, 'MessageInvalid')
        return undefined
      }
      const name = field === 'absent' ? '' : field.name
      if (route === undefined) {
        const named = parseServiceName(name)
        if (named === undefined) {
          call.refuse(noService, 'ServiceNotNamed')
          return undefined
        }
        route = authorise(call, principal, named)
        if (route === undefined || isTooLarge(bytes)) return undefined
      }
      const { namespace, service } = route.spec
      if (name === '' || name === service || name === `${namespace}/${service}`)
        return withModelName(part, field, service)
      // In a stream the worker says so in its place among the answers; the stream goes on.
      if (streaming !== undefined) return part
      const error = `model_name and the metadata hansa-service name different services`
      call.refuse({ status: 400, error }, 'ServiceAmbiguous')
      return undefined
    }

    function beginUnary(part: Buffer, bytes: number): void {
      const shown = addressed(part, bytes)
      if (shown === undefined || route === undefined) return
      const admission = admit(route, call.principal ?? principal, deps.capacity, now())
      call.key = admission.key
      if (admission.refusal !== undefined) {
        call.refuse(admission.refusal, admission.failure)
        return
      }
      const { requestSeconds } = route.spec
      const deadline = call.startedAt + Math.min(requestSeconds * 1000, head.timeoutMs ?? Number.POSITIVE_INFINITY)
      const entered = route
      entered.enter()
      entered.budget.deposit()
      const error = `no answer within the deadline (at most ${requestSeconds} s)`
      call.endBy(deadline - now(), { status: 504, error }, 'DeadlineExceeded')
      const begun = new UnaryCall(
        {
          call,
          route,
          principal: call.principal ?? principal,
          messages,
          head: shown,
          bytes: bytes - part.length + shown.length,
          deadline,
        },
        { ...callDeps, onHeld: deps.onHeld, onCanary: deps.onCanary },
      )
      unary = begun
      call.onStop = () => {
        entered.leave()
        admission.leave()
        begun.stop()
      }
      begun.start()
    }

    function beginStream(part: Buffer, bytes: number): void {
      const shown = addressed(part, bytes)
      if (shown === undefined || route === undefined) return
      if (streaming === undefined) {
        const begun = new StreamCall(
          { call, route, principal, messages },
          { ...callDeps, capacity: deps.capacity, onHeld: deps.onHeld, onMessage: deps.onStreamMessage },
        )
        streaming = begun
        call.onStop = () => begun.stop()
        streams.set(call, begun)
      }
      streaming.head(shown, bytes - part.length + shown.length)
    }

    /** A stream may outlive the right to it: token, access and service are looked at again for each of its requests. */
    function isStillAllowed(part: Buffer, bytes: number): void {
      if (authenticator.known(token) !== undefined && route !== undefined) {
        if (authorise(call, principal, route.spec) === route) beginStream(part, bytes)
        else call.refuse(forbidden, 'Forbidden')
        return
      }
      messages.pause()
      stream.pause()
      void authenticate(call, token).then((again) => {
        if (again === undefined || route === undefined) return
        if (authorise(call, again, route.spec) === undefined) return
        beginStream(part, bytes)
      })
    }

    const messages = new RequestMessages({
      onLength: (bytes) => {
        if (unary !== undefined)
          messages.stop() // a call has one message; what follows is nobody's
        else isTooLarge(bytes)
      },
      onHead: (part, bytes) => {
        call.requestBytes += part.length
        if (call.isDone) return
        if (head.method.use !== 'stream') beginUnary(part, bytes)
        else if (streaming === undefined) beginStream(part, bytes)
        else isStillAllowed(part, bytes)
      },
      onBody: (chunk) => {
        call.requestBytes += chunk.length
        unary?.body(chunk)
        streaming?.body(chunk)
      },
      onMessageEnd: () => {
        unary?.messageEnd()
        streaming?.messageEnd()
      },
      onEnd: (isWhole) => {
        if (call.isDone) return
        if (!isWhole) call.refuse(cutShort, 'MessageInvalid')
        else if (streaming !== undefined) streaming.userEnd()
        else if (head.method.use === 'stream') call.end(grpcCode.OK, undefined)
        else if (unary === undefined) call.refuse(noMessage, 'MessageInvalid')
      },
      onInvalid: (error, status) => call.refuse({ status, error }, 'MessageInvalid'),
    })
    call.onStop = () => messages.stop()
    if (head.method.use === 'stream') streams.set(call, undefined)
    stream.on('data', (chunk: Buffer) => messages.push(chunk))
    stream.once('end', () => messages.end())
    if (head.timeoutMs === undefined) call.endBy(60_000, waitedTooLong, 'RequestTimeout')
  }

  function answerOwn(call: Call): void {
    if (call.head.method.use === 'refused') call.refuse(notLoadable, 'NotLoadable')
    else {
      call.reply.write(ownAnswer(call.head.method.name, deps.isReady()))
      call.end(grpcCode.OK, undefined)
    }
  }

  function proceed(call: Call, principal: Principal, token: string): void {
    call.principal = principal
    const { use } = call.head.method
    if (use === 'own' || use === 'refused') answerOwn(call)
    else takeMessages(call, principal, token)
  }

  return {
    handle: (stream, _headers, _flags, rawHeaders) => {
      const startedAt = now()
      const read = readCallHead(rawHeaders)
      if ('httpStatus' in read) {
        stream.on('error', () => undefined)
        stream.respond(
          { ':status': read.httpStatus, ...(read.httpStatus === 405 ? { allow: 'POST' } : {}) },
          { endStream: true },
        )
        stream.resume()
        stream.close()
        return
      }
      if (!('head' in read)) {
        refuseHead(stream, startedAt, read.refusal, requestIdFrom(read.requestId, randomHex))
        return
      }
      const { head } = read
      const call = new Call(
        {
          stream,
          head,
          requestId: requestIdFrom(head.requestId, randomHex),
          trace: continueTrace(head.traceparent, head.tracestate, randomHex, deps.sampleNew),
          startedAt,
        },
        callDeps,
      )
      if (isDraining && head.method.use === 'stream') {
        call.refuse(draining, 'Draining')
        return
      }
      const token = bearerToken(head.authorization)
      if (token === undefined) {
        call.refuse(unauthenticated, 'Unauthenticated')
        return
      }
      const principal = authenticator.known(token)
      if (principal !== undefined) proceed(call, principal, token)
      else {
        void authenticate(call, token).then((verified) => {
          if (verified !== undefined) proceed(call, verified, token)
        })
      }
    },
    drain: () => {
      isDraining = true
      for (const [call, streaming] of [...streams]) {
        if (streaming === undefined) call.refuse(draining, 'Draining')
        else streaming.drain()
      }
    },
    openStreams: () => streams.size,
  }

  function refuseHead(stream: ServerHttp2Stream, startedAt: number, refusal: Refusal, requestId: string): void {
    stream.on('error', () => undefined)
    const reply = new Reply(stream, requestId)
    reply.end(codeOfStatus(refusal.status), refusal.error)
    deps.onFinished({
      requestId,
      method: 'POST',
      startedAt,
      result: {
        status: refusal.status,
        requestBytes: 0,
        responseBytes: 0,
        attempts: 0,
        worker: undefined,
        owner: undefined,
        busyMs: 0,
        failure: 'HeadRefused',
        heldMs: undefined,
      },
      grpc: { method: 'unknown', code: codeOfStatus(refusal.status) },
    })
  }
}
