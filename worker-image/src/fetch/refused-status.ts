import { retryAfterSeconds } from '@hansa/operator/oci/session.ts'
import { FetchError } from './fetch-error.ts'

/** What an answer of a source means that is no success; `Retry-After` is obeyed up to an hour. */
export function refusedStatus(
  who: string,
  answer: { status: number; headers: Readonly<Record<string, string | string[] | undefined>> },
  detail = '',
): FetchError {
  const { status, headers } = answer
  const message = `${who} answers ${status}${detail}`
  if (status === 401 || status === 403) {
    return new FetchError('SourceForbidden', message, { retry: 'after', afterSeconds: 300 })
  }
  if (status === 404 || status === 410) {
    return new FetchError('SourceNotFound', message, { retry: 'after', afterSeconds: 300 })
  }
  const afterSeconds = retryAfterSeconds(headers['retry-after'], Date.now())
  return new FetchError('SourceUnreachable', message, {
    ...(afterSeconds === undefined ? {} : { retry: 'after', afterSeconds }),
  })
}
