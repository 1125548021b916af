import { HansaError } from '@hansa/operator/process/errors.ts'
import { InferProblem, type ProblemReason } from '../problem.ts'

/** A refusal that only HTTP knows: method, path, headers, body length. */
export class HttpProblem extends HansaError {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super('HttpProblem', message, { retry: 'never' })
    this.status = status
    this.headers = headers
  }
}

/** The client closed its connection: there is nobody to answer. */
export class ClientGone extends HansaError {
  constructor() {
    super('ClientGone', 'the client is gone', { retry: 'never' })
  }
}

const statuses = {
  InvalidRequest: 400,
  NotFound: 404,
  RequestTooLarge: 413,
  QueueFull: 429,
  ResponseTooLarge: 500,
  ModelFailed: 500,
  // Not 503: a gateway may try that elsewhere, and what ended one session process would end the next.
  SessionLost: 500,
  Unsupported: 501,
  NotReady: 503,
  DeadlineExceeded: 504,
} as const satisfies Record<ProblemReason, number>

/** What the client is told of anything thrown. Unknown errors become an opaque 500. */
export function answerFor(error: unknown): { status: number; message: string; headers: Record<string, string> } {
  if (error instanceof HttpProblem)
    return { status: error.status, message: error.message, headers: { ...error.headers } }
  if (error instanceof InferProblem) {
    const status = statuses[error.problem]
    const headers: Record<string, string> = status === 429 || status === 503 ? { 'retry-after': '1' } : {}
    return { status, message: error.message, headers }
  }
  return { status: 500, message: 'internal error', headers: {} }
}
