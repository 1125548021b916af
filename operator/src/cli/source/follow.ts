import { type Dispatcher, request } from 'undici'
import type { Answer } from '../../oci/session.ts'
import { sourceError } from '../cli-error.ts'

const maxRedirects = 5

export type FollowOptions = {
  readonly dispatcher: Dispatcher
  readonly signal: AbortSignal
  readonly headers: Readonly<Record<string, string>>
  /** Sent to the origin of the first URL only. */
  readonly authorization: string | undefined
}

/** GETs over https and follows redirects to https; the last answer whatever its status. */
export async function follow(url: URL, options: FollowOptions): Promise<Answer> {
  const { dispatcher, signal, authorization } = options
  let at = url
  for (let redirects = 0; redirects <= maxRedirects; redirects += 1) {
    const { statusCode, headers, body } = await request(at, {
      dispatcher,
      signal,
      headers: {
        // A digest of compressed bytes would be a digest of something else.
        'accept-encoding': 'identity',
        'user-agent': 'kubectl-hansa',
        ...(authorization !== undefined && at.origin === url.origin ? { authorization } : {}),
        ...options.headers,
      },
    })
    const { location } = headers
    if (statusCode < 300 || statusCode > 399 || typeof location !== 'string') {
      return { status: statusCode, headers, url: at, body, close: async () => discard(body) }
    }
    discard(body)
    at = new URL(location, at)
    if (at.protocol !== 'https:') throw sourceError(`${url} redirects to ${at.origin}, which is not https`)
  }
  throw sourceError(`${url} redirects more than ${maxRedirects} times`)
}

/** undici tells a body that nobody wants any more of its end by an error; without a listener that would end the process. */
function discard(body: Dispatcher.ResponseData['body']): void {
  body.on('error', () => undefined)
  body.destroy()
}
