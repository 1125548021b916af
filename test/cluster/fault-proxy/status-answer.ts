import type { ServerResponse } from 'node:http'
import type { Fault } from './fault.ts'

/** The Status object by which an API server says that a watch's version is gone. */
export const expired = {
  apiVersion: 'v1',
  kind: 'Status',
  metadata: {},
  status: 'Failure',
  reason: 'Expired',
  message: 'too old resource version (injected by the fault proxy)',
  code: 410,
} as const

const reasons: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
}

/** Answers like an API server that refuses. */
export function answerStatus(response: ServerResponse, fault: Extract<Fault, { type: 'Respond' }>): void {
  const { status, retryAfterSeconds } = fault
  const body = JSON.stringify({
    apiVersion: 'v1',
    kind: 'Status',
    metadata: {},
    status: 'Failure',
    reason: fault.reason ?? reasons[status] ?? 'Unknown',
    message: fault.message ?? 'injected by the fault proxy',
    code: status,
    ...(retryAfterSeconds === undefined ? {} : { details: { retryAfterSeconds } }),
  })
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
  })
  response.end(body)
}
