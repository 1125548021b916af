import { openAiError } from '../../openai/error-body.ts'
import type { UserRequest, UserResponse } from '../forward/user-side.ts'
import { endAfterBody } from './linger.ts'
import { isOpenAiTarget } from './target.ts'

export type Refusal = { status: number; error: string; headers?: Record<string, string> }

/** Answers `{"error": ...}` in the gateway's own name, for OpenAI-style calls in that API's form; returns the body's size. A connection with an unread body is closed after. */
export function refuse(request: UserRequest, response: UserResponse, refusal: Refusal, requestId: string): number {
  const { status, error } = refusal
  const body = Buffer.from(JSON.stringify(isOpenAiTarget(request.url ?? '') ? openAiError(status, error) : { error }))
  const headers = {
    'content-type': 'application/json',
    'content-length': body.length,
    'x-request-id': requestId,
    ...refusal.headers,
  }
  // The listener then also ignores whatever was sent behind this request.
  if (!request.complete) response.shouldKeepAlive = false
  response.writeHead(status, headers)
  if (request.method !== 'HEAD') response.write(body)
  endAfterBody(request, response)
  return body.length
}
