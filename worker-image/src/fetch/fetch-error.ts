import type { ModelReason } from '@hansa/operator/api/model-reasons.ts'
import { HansaError, type Retry } from '@hansa/operator/process/errors.ts'

/** What stops the fetch of a file and is no fault of its content; `reason` as in the Model's condition. */
export class FetchError extends HansaError {
  declare readonly reason: ModelReason

  // Only narrows the type of the reason.
  constructor(
    reason: ModelReason,
    message: string,
    options: { retry?: Retry; afterSeconds?: number; hint?: string; cause?: unknown } = {},
  ) {
    super(reason, message, options)
  }
}
