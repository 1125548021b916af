import { HansaError } from '../../process/errors.ts'

/** gRPC status codes that the link uses. */
export const codes = {
  ok: 0,
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const

/** A call that was not answered as it should; thrown by handlers to refuse, and by callers for what the other side said. */
export class CallError extends HansaError {
  readonly code: number

  constructor(code: number, reason: string, message: string, cause?: unknown) {
    super(reason, message, { cause })
    this.code = code
  }
}

/** Whether another connection, or the same one later, may have more luck: nothing is known to have been refused. */
export function isUnavailable(thrown: unknown): boolean {
  return thrown instanceof CallError && (thrown.code === codes.unavailable || thrown.code === codes.cancelled)
}
