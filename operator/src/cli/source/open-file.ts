import { type Dispatcher, request } from 'undici'
import { type CliError, sourceError } from '../cli-error.ts'

const maxRedirects = 5

export type OpenOptions = {
  readonly dispatcher: Dispatcher
  readonly signal: AbortSignal
  /** Sent to the origin of the first URL only. */
  readonly authorization: string | undefined
  /** Continue behind this many bytes, if the file still has that entity tag. */
  readonly from?: { readonly offset: number; readonly etag: string }
}

export type OpenFile = {
  readonly body: Dispatcher.ResponseData['body']
  /** Bytes of the whole file, where the server says. */
  readonly total: number | undefined
  /** A strong entity tag (RFC 9110, 8.8.3): with it a download can be continued. */
  readonly etag: string | undefined
  /** Where the body begins: `from.offset`, or 0 where the server sends all anew. */
  readonly offset: number
}

/** Asks for a file over https and follows redirects to https; every other answer is an error that says what to do. */
export async function openFile(url: URL, options: OpenOptions): Promise<OpenFile> {
  const { dispatcher, signal, authorization, from } = options
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
        ...(from === undefined ? {} : { range: `bytes=${from.offset}-`, 'if-range': from.etag }),
      },
    })
    if (statusCode === 200 || (statusCode === 206 && from !== undefined)) {
      const encoding = headers['content-encoding'] ?? 'identity'
      if (encoding !== 'identity') {
        discard(body)
        throw sourceError(`${at} comes compressed (${encoding}) although that was not asked for`)
      }
      const { etag } = headers
      const strong = typeof etag === 'string' && /^"[^"]{1,256}"$/.test(etag) ? etag : undefined
      if (statusCode === 200) return { body, total: numberOf(headers['content-length']), etag: strong, offset: 0 }
      const range = /^bytes ([0-9]{1,15})-[0-9]{1,15}\/([0-9]{1,15})$/.exec(String(headers['content-range']))
      if (range === null || Number(range[1]) !== from?.offset) {
        discard(body)
        throw sourceError(`${at} answers with another range than was asked for`)
      }
      return { body, total: Number(range[2]), etag: strong, offset: from.offset }
    }
    discard(body)
    const { location } = headers
    if (statusCode < 300 || statusCode > 399 || typeof location !== 'string') throw refusal(at, statusCode)
    at = new URL(location, at)
    if (at.protocol !== 'https:') throw sourceError(`${url} redirects to ${at.origin}, which is not https`)
  }
  throw sourceError(`${url} redirects more than ${maxRedirects} times`)
}

/** undici tells a body that nobody wants any more of its end by an error; without a listener that would end the process. */
export function discard(body: Dispatcher.ResponseData['body']): void {
  body.on('error', () => undefined)
  body.destroy()
}

function numberOf(header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^[0-9]{1,15}$/.test(header) ? Number(header) : undefined
}

function refusal(url: URL, status: number): CliError {
  if (status === 401 || status === 403) {
    return sourceError(`${url}: the server answers ${status}`, 'Give credentials with --token-file.')
  }
  if (status === 404) return sourceError(`${url}: there is no such file (404)`, 'Check the URL and --file.')
  return sourceError(`${url}: the server answers ${status}`)
}
