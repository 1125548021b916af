import { HansaError } from '@hansa/operator/process/errors.ts'
import { InferProblem, type ProblemReason } from '../problem.ts'

/** Status codes of gRPC that a worker answers with. */
export const grpcStatus = {
  ok: 0,
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const

/** A refusal that only gRPC knows: method, peer, framing. */
export class GrpcProblem extends HansaError {
  readonly code: number

  constructor(code: number, message: string) {
    super('GrpcProblem', message, { retry: 'never' })
    this.code = code
  }
}

const codes = {
  InvalidRequest: grpcStatus.invalidArgument,
  NotFound: grpcStatus.notFound,
  RequestTooLarge: grpcStatus.resourceExhausted,
  ResponseTooLarge: grpcStatus.resourceExhausted,
  QueueFull: grpcStatus.resourceExhausted,
  ModelFailed: grpcStatus.internal,
  // Not UNAVAILABLE: a gateway may try that elsewhere, and what ended one session process would end the next.
  SessionLost: grpcStatus.internal,
  Unsupported: grpcStatus.unimplemented,
  NotReady: grpcStatus.unavailable,
  DeadlineExceeded: grpcStatus.deadlineExceeded,
} as const satisfies Record<ProblemReason, number>

export type Verdict = { readonly code: number; readonly message: string; readonly retryMs?: number }

/** What the client is told of anything thrown. Unknown errors become an opaque INTERNAL. */
export function verdictOf(error: unknown): Verdict {
  if (error instanceof GrpcProblem) return { code: error.code, message: error.message }
  if (!(error instanceof InferProblem)) return { code: grpcStatus.internal, message: 'internal error' }
  const { problem, message } = error
  const code = codes[problem]
  return problem === 'QueueFull' || problem === 'NotReady' ? { code, message, retryMs: 1000 } : { code, message }
}

/**
 * The trailers of a verdict; `grpc-message` is percent-encoded UTF-8 and cut where it would fill a header block.
 * `grpc-retry-pushback-ms` (gRFC A6) is what Retry-After is in HTTP.
 */
export function trailersOf({ code, message, retryMs }: Verdict): Record<string, string> {
  return {
    'grpc-status': String(code),
    ...(message !== '' && { 'grpc-message': encodeURI(message.slice(0, 1024).toWellFormed()) }),
    ...(retryMs !== undefined && { 'grpc-retry-pushback-ms': String(retryMs) }),
  }
}
