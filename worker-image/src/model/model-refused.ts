import type { ModelReason } from '@hansa/operator/api/model-reasons.ts'
import { HansaError } from '@hansa/operator/process/errors.ts'

/** A model that must not be loaded: `reason` as in the Model's condition, `file` the path as the Model names it. Never retried. */
export class ModelRefused extends HansaError {
  declare readonly reason: ModelReason
  readonly file: string | undefined

  constructor(reason: ModelReason, message: string, options: { file?: string | undefined; hint?: string } = {}) {
    super(reason, message, { retry: 'never', ...(options.hint === undefined ? {} : { hint: options.hint }) })
    this.file = options.file
  }
}

/** Text of a stranger for a message of ours: quoted, control characters escaped, at most 80 characters. */
export function quote(text: string): string {
  const cut = text.length > 80 ? `${text.slice(0, 77)}...` : text
  return JSON.stringify(cut).replace(/[^\x20-\x7e]/g, '?')
}
