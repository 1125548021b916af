import type { AccessKey } from '../api/access-key.ts'
import type { AccessKeyReason } from '../api/access-key-reasons.ts'

const soonMilliseconds = 7 * 24 * 3_600_000

export type Verdict = {
  reason: AccessKeyReason
  message: string
  /** When the last secret expires, as its object says it; undefined when one never does. */
  notAfter: string | undefined
  /** When the verdict may change by itself. */
  afterSeconds: number | undefined
}

/** What gateways do with an AccessKey now, and until when; `now` in milliseconds since 1970. */
export function judge({ metadata, spec }: AccessKey, existing: (service: string) => boolean, now: number): Verdict {
  const last = lastSecret(spec.secrets)
  const notAfter = last?.notAfter
  const expires = last === undefined ? Number.NEGATIVE_INFINITY : last.at
  const verdict = (reason: AccessKeyReason, message: string, changesAt?: number): Verdict => ({
    reason,
    message,
    notAfter,
    afterSeconds: changesAt === undefined ? undefined : Math.ceil((changesAt - now) / 1000) + 1,
  })
  const upcoming = expires === Number.POSITIVE_INFINITY ? undefined : expires
  if (spec.suspend) return verdict('Suspended', 'spec.suspend is true')
  if (expires <= now) {
    return verdict('Expired', `every secret has expired, the last at ${notAfter ?? 'no readable date'}`)
  }
  const missing = spec.services.filter((service) => !existing(service))
  if (missing.length === spec.services.length) {
    return verdict(
      'ServiceNotFound',
      `there is no InferenceService ${missing.join(', ')} in namespace ${metadata.namespace ?? ''}`,
      upcoming,
    )
  }
  if (upcoming !== undefined && upcoming - now <= soonMilliseconds) {
    return verdict('ExpiresSoon', `the last secret expires at ${notAfter}`, upcoming)
  }
  const without = missing.length === 0 ? '' : `; not found: ${missing.join(', ')}`
  return verdict(
    'Accepted',
    `gateways accept the key${without}`,
    upcoming === undefined ? undefined : upcoming - soonMilliseconds,
  )
}

/** The secret that lives longest; a date that cannot be read counts as past, as gateways take it. */
function lastSecret(secrets: AccessKey['spec']['secrets']): { notAfter: string | undefined; at: number } | undefined {
  return secrets
    .map(({ notAfter }) => ({ notAfter, at: notAfter === undefined ? Number.POSITIVE_INFINITY : Date.parse(notAfter) }))
    .filter(({ at }) => !Number.isNaN(at))
    .sort((a, b) => b.at - a.at)[0]
}
