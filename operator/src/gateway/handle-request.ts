import type { IncomingMessage, ServerResponse } from 'node:http'
import { admit, badToken, type Capacity, forbidden, keysUnknown, unauthenticated } from './admission.ts'
import type { KeyEntry } from './auth/access-key.ts'
import { type Authenticator, bearerToken, type Verdict } from './auth/authenticator.ts'
import type { Principal } from './auth/principal.ts'
import { Exchange, type ExchangeDeps, type ExchangeResult } from './forward/exchange.ts'
import { type Refusal, refuse } from './http/refuse.ts'
import { type RequestHead, readHead } from './http/request-head.ts'
import { parseTarget, type Target } from './http/target.ts'
import { continueTrace, requestIdFrom, type TraceContext } from './http/trace-context.ts'
import type { Route } from './route/route.ts'
import type { RouteTable } from './route/route-table.ts'

/** What is known of a request when it ends; later fields stay undefined for requests that were refused early. */
export type Finished = {
  requestId: string
  method: string
  startedAt: number
  result: ExchangeResult
  target?: Target | undefined
  trace?: TraceContext | undefined
  principal?: Principal | undefined
  route?: Route | undefined
  /** Where the request came by gRPC; `result.status` is then the HTTP status that says the same. */
  grpc?: { method: string; code: number } | undefined
  /** The AccessKey that let the caller in. */
  key?: KeyEntry | undefined
}

export type HandlerDeps = {
  authenticator: Authenticator
  routes: RouteTable
  /** Monotonic milliseconds. */
  now: () => number
  randomHex: (bytes: number) => string
  isDraining: () => boolean
  capacity: Capacity
  onUpstreamError: ExchangeDeps['onUpstreamError']
  onHeld: ExchangeDeps['onHeld']
  onCanary: ExchangeDeps['onCanary']
  mirror: ExchangeDeps['mirror']
  trialBytes: ExchangeDeps['trialBytes']
  onFinished: (finished: Finished) => void
  /** Whether a trace that begins here is recorded. */
  sampleNew?: () => boolean
  traceAttempt?: ExchangeDeps['traceAttempt']
  signal: AbortSignal
}

type Incoming = {
  request: IncomingMessage
  response: ServerResponse
  requestId: string
  startedAt: number
  head?: RequestHead
  target?: Target
  trace?: TraceContext
  principal?: Principal
  route?: Route
  key?: KeyEntry
}

/** Makes the function that takes each request: read the head, authenticate, authorise, bound, then forward. */
export function createRequestHandler(deps: HandlerDeps): (request: IncomingMessage, response: ServerResponse) => void {
  const { authenticator, routes, now, randomHex } = deps
  const exchangeDeps: ExchangeDeps = {
    now,
    onUpstreamError: deps.onUpstreamError,
    onHeld: deps.onHeld,
    onCanary: deps.onCanary,
    mirror: deps.mirror,
    trialBytes: deps.trialBytes,
    onDone: () => {},
    ...(deps.traceAttempt !== undefined && { traceAttempt: deps.traceAttempt }),
  }

  function refuseIncoming(incoming: Incoming, refusal: Refusal, failure: string): void {
    const { request, response, requestId } = incoming
    const responseBytes = refuse(request, response, refusal, requestId)
    finished(incoming, {
      status: refusal.status,
      requestBytes: 0,
      responseBytes,
      attempts: 0,
      worker: undefined,
      owner: undefined,
      busyMs: 0,
      failure,
      heldMs: undefined,
    })
  }

  function finished(incoming: Incoming, result: ExchangeResult): void {
    const { requestId, request, startedAt, target, trace, principal, route, key } = incoming
    deps.onFinished({
      requestId,
      method: request.method ?? '',
      startedAt,
      result,
      target,
      trace,
      principal,
      route,
      key,
    })
  }

  function forward(
    incoming: Incoming,
    head: RequestHead,
    target: Target,
    trace: TraceContext,
    principal: Principal,
  ): void {
    incoming.principal = principal
    const { request, response, requestId, startedAt } = incoming
    const route = routes.get(target.namespace, target.service)
    if (route !== undefined) incoming.route = route
    if (route === undefined || !route.allows(principal)) {
      refuseIncoming(incoming, forbidden, 'Forbidden')
      return
    }
    const { spec } = route
    if ((head.contentLength ?? 0) > spec.requestBytes) {
      refuseIncoming(
        incoming,
        { status: 413, error: `the body is larger than ${spec.requestBytes} bytes` },
        'RequestTooLarge',
      )
      return
    }
    const admission = admit(route, principal, deps.capacity, now())
    if (admission.key !== undefined) incoming.key = admission.key
    if (admission.refusal !== undefined) {
      refuseIncoming(incoming, admission.refusal, admission.failure)
      return
    }
    const deadline = startedAt + Math.min(spec.requestSeconds * 1000, head.timeoutMs ?? Number.POSITIVE_INFINITY)
    const exchange = new Exchange(
      { request, response, head, target, trace, requestId, principal, route, deadline },
      {
        ...exchangeDeps,
        onDone: (_input, result) => {
          admission.leave()
          finished(incoming, result)
        },
      },
    )
    exchange.start()
  }

  async function verifyThenForward(
    incoming: Incoming,
    token: string,
    then: (principal: Principal) => void,
  ): Promise<void> {
    let verdict: Verdict
    try {
      verdict = await authenticator.verify(token, deps.signal)
    } catch {
      verdict = { refused: 'unavailable' }
    }
    if (incoming.response.destroyed) return
    if ('principal' in verdict) then(verdict.principal)
    else if (verdict.refused === 'unavailable') refuseIncoming(incoming, keysUnknown, 'KeysUnknown')
    else refuseIncoming(incoming, badToken, 'TokenInvalid')
  }

  return (request, response) => {
    const incoming: Incoming = { request, response, requestId: '', startedAt: now() }
    // Node turns this into "Connection: close", so that clients move to another gateway.
    if (deps.isDraining()) response.shouldKeepAlive = false
    const read = readHead(request)
    if (!('head' in read)) {
      incoming.requestId = requestIdFrom(undefined, randomHex)
      const headers = read.status === 405 ? { allow: 'GET, HEAD, POST' } : undefined
      refuseIncoming(incoming, { ...read, ...(headers === undefined ? {} : { headers }) }, 'HeadRefused')
      return
    }
    const { head } = read
    incoming.requestId = requestIdFrom(head.requestId, randomHex)
    const parsed = parseTarget(request.url ?? '')
    if (!('target' in parsed)) {
      refuseIncoming(incoming, parsed, 'TargetRefused')
      return
    }
    const { target } = parsed
    const trace = continueTrace(head.traceparent, head.tracestate, randomHex, deps.sampleNew)
    incoming.target = target
    incoming.trace = trace
    const token = bearerToken(head.authorization)
    if (token === undefined) {
      refuseIncoming(incoming, unauthenticated, 'Unauthenticated')
      return
    }
    const principal = authenticator.known(token)
    if (principal !== undefined) {
      forward(incoming, head, target, trace, principal)
      return
    }
    void verifyThenForward(incoming, token, (verified) => forward(incoming, head, target, trace, verified))
  }
}
