import { HansaError } from '../process/errors.ts'

/** Why the certificate endpoint refuses, and with which HTTP status. */
export class Refusal extends HansaError {
  readonly status: number

  constructor(status: number, reason: string, message: string, afterSeconds?: number) {
    super(reason, message, afterSeconds === undefined ? {} : { retry: 'after', afterSeconds })
    this.status = status
  }
}
