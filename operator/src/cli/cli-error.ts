import { HansaError } from '../process/errors.ts'
import { type ExitCode, exitCodes } from './exit-code.ts'

/** A failure that ends a command: shown as `error: MESSAGE`, with `hint: HINT` below. */
export class CliError extends HansaError {
  readonly exitCode: ExitCode

  constructor(exitCode: ExitCode, message: string, hint?: string, cause?: unknown) {
    super('CommandFailed', message, {
      retry: 'never',
      ...(hint === undefined ? {} : { hint }),
      ...(cause === undefined ? {} : { cause }),
    })
    this.exitCode = exitCode
  }
}

export const usageError = (message: string, hint?: string) => new CliError(exitCodes.usage, message, hint)
export const sourceError = (message: string, hint?: string, cause?: unknown) =>
  new CliError(exitCodes.source, message, hint, cause)
