import type { Dispatcher } from 'undici'
import type { Answer } from '../../oci/session.ts'
import { type CliError, sourceError } from '../cli-error.ts'
import { follow } from './follow.ts'

export type OpenOptions = {
  readonly dispatcher: Dispatcher
  readonly signal: AbortSignal
  /** Sent to the origin of the first URL only. */
  readonly authorization: string | undefined
  /** Continue behind this many bytes, if the file still has that entity tag. */
  readonly from?: { readonly offset: number; readonly etag: string }
}

export type OpenFile = Pick<Answer, 'body' | 'close'> & {
  /** Bytes of the whole file, where the server says. */
  readonly total: number | undefined
  /** A strong entity tag (RFC 9110, 8.8.3): with it a download can be continued. */
  readonly etag: string | undefined
  /** Where the body begins: `from.offset`, or 0 where the server sends all anew. */
  readonly offset: number
}

/** Asks for a file over https and follows redirects to https; every other answer is an error that says what to do. */
export async function openFile(url: URL, options: OpenOptions): Promise<OpenFile> {
  const { from, ...rest } = options
  const range = from === undefined ? {} : { range: `bytes=${from.offset}-`, 'if-range': from.etag }
  const answer = await follow(url, { ...rest, headers: range })
  try {
    return opened(answer, from)
  } catch (error) {
    await answer.close()
    throw error
  }
}

function opened({ status, headers, url, body, close }: Answer, from: OpenOptions['from']): OpenFile {
  if (status !== 200 && (status !== 206 || from === undefined)) throw refusal(url, status)
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') {
    throw sourceError(`${url} comes compressed (${String(encoding)}) although that was not asked for`)
  }
  const strong = typeof headers.etag === 'string' && /^"[^"]{1,256}"$/.test(headers.etag) ? headers.etag : undefined
  if (status === 200) return { body, close, total: numberOf(headers['content-length']), etag: strong, offset: 0 }
  const range = /^bytes ([0-9]{1,15})-[0-9]{1,15}\/([0-9]{1,15})$/.exec(String(headers['content-range']))
  if (range === null || from === undefined || Number(range[1]) !== from.offset) {
    throw sourceError(`${url} answers with another range than was asked for`)
  }
  return { body, close, total: Number(range[2]), etag: strong, offset: from.offset }
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
