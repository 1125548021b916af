import { HansaError, type Retry } from '../process/errors.ts'

type Details = {
  /** HTTP status code; undefined where no answer came. */
  status?: number
  /** `reason` of the Status object, such as `AlreadyExists`. */
  reason: string
  message: string
  afterSeconds?: number
  cause?: unknown
}

/**
 * What the API server, or the way to it, refused. `reason` is Kubernetes' own word (`NotFound`, `Conflict`, `Expired` ...), or
 * `ApiServerUnreachable`, `ApiServerTimeout`, `ApiServerAnswerInvalid`, `ApiServerAnswerTooLarge`.
 */
export class KubeApiError extends HansaError {
  readonly status: number | undefined

  constructor(details: Details) {
    super(details.reason, details.message, {
      ...retryOf(details),
      ...(details.cause === undefined ? {} : { cause: details.cause }),
    })
    this.status = details.status
  }
}

// A refused object is tried again only seldom, not never: an admission policy that refused it can change without an event.
const refusedRetrySeconds = 300

function retryOf({ status, afterSeconds }: Details): { retry: Retry; afterSeconds?: number } {
  if (afterSeconds !== undefined) return { retry: 'after', afterSeconds }
  if (status === 400 || status === 405 || status === 413 || status === 415 || status === 422)
    return { retry: 'after', afterSeconds: refusedRetrySeconds }
  return { retry: 'backoff' }
}

/** The object, or the whole kind, does not exist. */
export function isNotFound(thrown: unknown): boolean {
  return thrown instanceof KubeApiError && thrown.status === 404
}

/** A write that was based on an old version, or a precondition that does not hold. */
export function isConflict(thrown: unknown): boolean {
  return thrown instanceof KubeApiError && thrown.status === 409 && thrown.reason !== 'AlreadyExists'
}

export function isAlreadyExists(thrown: unknown): boolean {
  return thrown instanceof KubeApiError && thrown.status === 409 && thrown.reason === 'AlreadyExists'
}

/** The API server understood the write and will not have it as it is: admission, quota, rights. */
export function isRefused(thrown: unknown): thrown is KubeApiError {
  return thrown instanceof KubeApiError && (thrown.status === 403 || thrown.status === 422 || thrown.status === 400)
}

/** The resource version is gone: list anew. Comes as an HTTP status and inside a watch. */
export function isExpired(thrown: unknown): boolean {
  return thrown instanceof KubeApiError && (thrown.status === 410 || thrown.reason === 'Expired')
}

/** The API server has not reached that resource version yet. */
export function isTooNew(thrown: unknown): boolean {
  return thrown instanceof KubeApiError && thrown.status === 504 && /too large resource version/i.test(thrown.message)
}

/** Nobody answered at all. */
export function isUnanswered(thrown: unknown): boolean {
  return thrown instanceof KubeApiError && thrown.status === undefined
}

/** No answer came: a write may or may not have happened. */
export function isOutcomeUnknown(thrown: unknown): boolean {
  return thrown instanceof KubeApiError && (thrown.status === undefined || thrown.status >= 500)
}

/** The API server asks for patience: who comes back again and again should come ever more seldom. */
export function isOverloaded(thrown: unknown): boolean {
  return thrown instanceof KubeApiError && (thrown.status === 429 || thrown.status === 503)
}
