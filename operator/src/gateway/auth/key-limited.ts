import type { Refusal } from '../http/refuse.ts'
import type { KeyRefusal } from './key-usage.ts'

export const keyLimits = ['requestsPerMinute', 'inFlight'] as const

/** How metrics and the access log call a refusal by a limit of a key. */
export const keyFailures = {
  requestsPerMinute: 'KeyRateLimited',
  inFlight: 'KeyTooManyInFlight',
} as const satisfies Record<KeyRefusal['limit'], string>

/** The answer to a request that a limit of its key forbids. */
export function keyLimited({ limit, retryAfterSeconds }: KeyRefusal): Refusal {
  const error =
    limit === 'inFlight' ? 'too many requests at once with this key' : 'too many requests a minute with this key'
  return { status: 429, error, headers: { 'retry-after': String(retryAfterSeconds) } }
}
