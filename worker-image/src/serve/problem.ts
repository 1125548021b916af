import { HansaError } from '@hansa/operator/process/errors.ts'

/** Why a request is refused, free of any protocol; REST and gRPC map it to their codes. */
export type ProblemReason =
  | 'InvalidRequest'
  | 'NotFound'
  | 'Unsupported'
  | 'RequestTooLarge'
  | 'ResponseTooLarge'
  | 'QueueFull'
  | 'NotReady'
  | 'DeadlineExceeded'
  | 'ModelFailed'
  | 'SessionLost'

/** A refusal that the client sees: the message names inputs and limits, never a tensor's values or anything internal. */
export class InferProblem extends HansaError {
  readonly problem: ProblemReason

  constructor(problem: ProblemReason, message: string, options: { cause?: unknown } = {}) {
    super(problem, message, { retry: 'never', ...options })
    this.problem = problem
  }
}

export function invalid(message: string): InferProblem {
  return new InferProblem('InvalidRequest', message)
}
