export type Retry = 'backoff' | 'after' | 'never'

type Options = { retry?: Retry; afterSeconds?: number; hint?: string; cause?: unknown }

/**
 * Base of every error that Hansa throws: `reason` is the constant that conditions, events and metrics show, `retry` tells the
 * work queue what to do, `hint` what the reader can do.
 */
export class HansaError extends Error {
  readonly reason: string
  readonly retry: Retry
  readonly afterSeconds: number | undefined
  readonly hint: string | undefined

  constructor(reason: string, message: string, options: Options = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.reason = reason
    this.retry = options.retry ?? 'backoff'
    this.afterSeconds = options.afterSeconds
    this.hint = options.hint
  }
}

/** The message of anything thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
