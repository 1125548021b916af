import { parseTraceParent } from '../process/tracing/span.ts'
import type { Tracing } from '../process/tracing.ts'
import type { Finished } from './handle-request.ts'
import type { TraceContext } from './http/trace-context.ts'
import type { Route } from './route/route.ts'
import type { Upstream } from './route/upstream.ts'

/** A span for one attempt: what to tell the worker, and what to call when the attempt has ended. */
export type AttemptSpan = { readonly traceparent: string; ended(status: number | undefined): void }
export type TraceAttempt = (
  trace: TraceContext,
  route: Route,
  worker: Upstream,
  attempt: number,
) => AttemptSpan | undefined

export type RequestTracer = {
  /** Whether a trace that begins here is recorded; a caller's own decision is followed instead. */
  sampleNew(): boolean
  attempt: TraceAttempt
  finished(finished: Finished, durationMs: number): void
}

/** Spans of the gateway: one a request, and below it one an attempt. Services that are not known stay unnamed, as in metrics. */
export function createRequestTracer(deps: {
  tracing: Tracing
  sample: number
  random: () => number
  randomHex: (bytes: number) => string
  /** Milliseconds since the epoch. */
  wallClock: () => number
}): RequestTracer {
  const { tracing, sample, random, randomHex, wallClock } = deps
  return {
    sampleNew: () => random() < sample,
    attempt: (trace, route, worker, attempt) => {
      const parent = parseTraceParent(trace.traceparent)
      if (parent?.isSampled !== true) return undefined
      const { traceId } = parent
      const spanId = randomHex(8)
      const startedAt = wallClock()
      return {
        traceparent: `00-${traceId}-${spanId}-01`,
        ended: (status) =>
          tracing.record({
            name: 'attempt',
            kind: 'client',
            traceId,
            spanId,
            parentSpanId: parent.spanId,
            startedAt,
            endedAt: wallClock(),
            failed: status === undefined || status >= 500,
            attributes: {
              ...serviceAttributes(route),
              'hansa.revision': worker.endpoint.revision,
              'hansa.worker': worker.endpoint.pod,
              'hansa.attempt': attempt,
              'http.response.status_code': status,
            },
          }),
      }
    },
    finished: ({ trace, route, method, result, grpc }, durationMs) => {
      const own = parseTraceParent(trace?.traceparent)
      if (own?.isSampled !== true) return
      const endedAt = wallClock()
      tracing.record({
        name: grpc === undefined ? 'request' : grpc.method,
        kind: 'server',
        traceId: own.traceId,
        spanId: own.spanId,
        parentSpanId: trace?.parentId,
        startedAt: endedAt - durationMs,
        endedAt,
        failed: result.status >= 500,
        attributes: {
          ...(route !== undefined && serviceAttributes(route)),
          'http.request.method': method,
          'http.response.status_code': result.status,
          'rpc.grpc.status_code': grpc?.code,
          'hansa.attempts': result.attempts,
          'hansa.held_ms': result.heldMs,
          'hansa.revision': route?.workers.find(({ endpoint }) => endpoint.pod === result.worker)?.endpoint.revision,
          'hansa.failure': result.failure,
        },
      })
    },
  }
}

function serviceAttributes({ spec }: Route): { 'hansa.namespace': string; 'hansa.service': string } {
  return { 'hansa.namespace': spec.namespace, 'hansa.service': spec.service }
}
