import type { Refusal } from '../http/refuse.ts'
import { type Method, methodOf } from './method.ts'

export type ServiceName = { namespace: string; service: string }

export type CallHead = {
  method: Method
  authorization: string | undefined
  /** From the metadata `hansa-service`. */
  service: ServiceName | undefined
  requestId: string | undefined
  traceparent: string | undefined
  tracestate: string | undefined
  userAgent: string | undefined
  timeoutMs: number | undefined
}

/** `httpStatus`: the request is not gRPC at all and is answered in plain HTTP. */
export type CallHeadResult = { head: CallHead } | { httpStatus: 405 | 415 } | { refusal: Refusal; requestId?: string }

const read = new Set([
  ':method',
  ':path',
  'content-type',
  'authorization',
  'hansa-service',
  'grpc-timeout',
  'grpc-encoding',
  'x-request-id',
  'traceparent',
  'tracestate',
  'user-agent',
])
const contentType = /^application\/grpc(?:\+proto)?(?:;|$)/i
const namePattern = /^([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)\/([a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)$/
const timeoutPattern = /^(\d{1,8})([HMSmun])$/
const unitMs: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }
const maxTimeoutMs = 3_600_000

/** `<namespace>/<service>` taken apart; undefined when it is not of that form. */
export function parseServiceName(text: string): ServiceName | undefined {
  if (text.length > 317) return undefined
  const [, namespace, service] = namePattern.exec(text) ?? []
  return namespace === undefined || service === undefined ? undefined : { namespace, service }
}

/**
 * Reads a call's metadata once, from the raw list that keeps duplicates apart. Whatever is not named above is dropped, so that no
 * token, cookie or `x-hansa-*` reaches a worker.
 */
export function readCallHead(rawHeaders: readonly string[]): CallHeadResult {
  const values = new Map<string, string>()
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? ''
    if (!read.has(name)) continue
    if (values.has(name)) return refused(400, `duplicate header ${name}`)
    values.set(name, rawHeaders[i + 1] ?? '')
  }
  if (values.get(':method') !== 'POST') return { httpStatus: 405 }
  if (!contentType.test(values.get('content-type') ?? '')) return { httpStatus: 415 }
  const requestId = values.get('x-request-id')
  const method = methodOf(values.get(':path') ?? '')
  if (method === undefined) return refused(501, 'there is no such method', requestId)
  const encoding = values.get('grpc-encoding')
  if (encoding !== undefined && encoding !== 'identity') {
    return refused(501, 'send messages without compression (grpc-encoding identity)', requestId)
  }
  const timeoutMs = timeoutOf(values.get('grpc-timeout'))
  if (Number.isNaN(timeoutMs)) return refused(400, 'grpc-timeout is not valid', requestId)
  const named = values.get('hansa-service')
  const service = named === undefined ? undefined : parseServiceName(named)
  if (named !== undefined && service === undefined) {
    return refused(400, 'hansa-service must have the form <namespace>/<service>', requestId)
  }
  return {
    head: {
      method,
      authorization: values.get('authorization'),
      service,
      requestId,
      traceparent: values.get('traceparent'),
      tracestate: values.get('tracestate'),
      userAgent: values.get('user-agent'),
      timeoutMs,
    },
  }
}

/** Milliseconds of a `grpc-timeout` (PROTOCOL-HTTP2.md, "Timeout"), at least 1, at most an hour; NaN when it is not one. */
export function timeoutOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const [, digits, unit = ''] = timeoutPattern.exec(text) ?? []
  if (digits === undefined) return Number.NaN
  return Math.min(maxTimeoutMs, Math.max(1, Number(digits) * (unitMs[unit] ?? Number.NaN)))
}

function refused(status: number, error: string, requestId?: string): CallHeadResult {
  return { refusal: { status, error }, ...(requestId === undefined ? {} : { requestId }) }
}
