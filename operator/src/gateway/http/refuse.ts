import type { IncomingMessage, ServerResponse } from 'node:http'
import { endAfterBody } from './linger.ts'

export type Refusal = { status: number; error: string; headers?: Record<string, string> }

/** Answers `{"error": ...}` in the gateway's own name; returns the body's size. A connection with an unread body is closed after. */
export function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  refusal: Refusal,
  requestId: string,
): number {
  const body = Buffer.from(JSON.stringify({ error: refusal.error }))
  const headers = {
    'content-type': 'application/json',
    'content-length': body.length,
    'x-request-id': requestId,
    ...refusal.headers,
  }
  // The listener then also ignores whatever was sent behind this request.
  if (!request.complete) response.shouldKeepAlive = false
  response.writeHead(refusal.status, headers)
  if (request.method !== 'HEAD') response.write(body)
  endAfterBody(request, response)
  return body.length
}
