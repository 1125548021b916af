import { Agent, type Dispatcher, request } from 'undici'
import type { ModelFile } from '../../api/model.ts'
import { messageOf } from '../../process/errors.ts'
import { CliError, sourceError } from '../cli-error.ts'
import { digestFile } from './digest.ts'
import type { ReadDeps } from './source-file.ts'

const maxRedirects = 5
const stallMilliseconds = 60_000

export type HttpsOptions = {
  /** Folder URL, ending in `/`. */
  readonly folder: string
  readonly paths: readonly string[]
  /** Bound on the sum of all files. */
  readonly maxBytes: number
  /** PEM; instead of the public authorities. */
  readonly ca: string | undefined
  /** Value of the header `authorization` for the source itself, never for a redirect to another host. */
  readonly authorization: string | undefined
}

/** Downloads each file at `<folder><path>`, keeps nothing but digest and size. */
export async function digestHttps(options: HttpsOptions, deps: ReadDeps): Promise<ModelFile[]> {
  const dispatcher = new Agent({
    connect: { timeout: 10_000, ...(options.ca === undefined ? {} : { ca: options.ca }) },
    headersTimeout: stallMilliseconds,
    bodyTimeout: stallMilliseconds,
  })
  try {
    const files: ModelFile[] = []
    let left = options.maxBytes
    for (const path of options.paths) {
      const file = await digestOne(path, left, options, dispatcher, deps)
      left -= file.sizeBytes
      files.push(file)
    }
    return files
  } finally {
    await dispatcher.destroy()
  }
}

async function digestOne(
  path: string,
  maxBytes: number,
  options: HttpsOptions,
  dispatcher: Dispatcher,
  deps: ReadDeps,
): Promise<ModelFile> {
  const url = new URL(path, options.folder)
  try {
    const { body, total } = await open(url, options, dispatcher, deps.signal)
    if (total !== undefined && total > maxBytes) {
      discard(body)
      throw sourceError(`${url} has ${total} bytes, more than the ${maxBytes} that are left`, 'Raise --max-bytes.')
    }
    return await digestFile(path, body, { maxBytes, total }, deps)
  } catch (error) {
    if (error instanceof CliError || deps.signal.aborted) throw error
    throw sourceError(`cannot read ${url}: ${messageOf(error)}`, hintOf(error), error)
  }
}

async function open(url: URL, options: HttpsOptions, dispatcher: Dispatcher, signal: AbortSignal) {
  const origin = new URL(options.folder).origin
  let at = url
  for (let redirects = 0; redirects <= maxRedirects; redirects += 1) {
    const { statusCode, headers, body } = await request(at, {
      dispatcher,
      signal,
      // A digest of compressed bytes would be a digest of something else.
      headers: {
        'accept-encoding': 'identity',
        'user-agent': 'kubectl-hansa',
        ...(options.authorization !== undefined && at.origin === origin
          ? { authorization: options.authorization }
          : {}),
      },
    })
    if (statusCode === 200) {
      if (headers['content-encoding'] !== undefined && headers['content-encoding'] !== 'identity') {
        discard(body)
        throw sourceError(`${at} comes compressed (${headers['content-encoding']}) although that was not asked for`)
      }
      return { body, total: lengthOf(headers['content-length']) }
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
function discard(body: Dispatcher.ResponseData['body']): void {
  body.on('error', () => undefined)
  body.destroy()
}

function lengthOf(header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^[0-9]{1,15}$/.test(header) ? Number(header) : undefined
}

function refusal(url: URL, status: number): CliError {
  if (status === 401 || status === 403) {
    return sourceError(`${url}: the server answers ${status}`, 'Give credentials with --token-file.')
  }
  if (status === 404) return sourceError(`${url}: there is no such file (404)`, 'Check the URL and --file.')
  return sourceError(`${url}: the server answers ${status}`)
}

function hintOf(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (/CERT|ISSUER|SIGNATURE|SELF_SIGNED|ALTNAME/.test(code))
    return 'For a private certificate authority, name its file with --ca-file.'
  if (code === 'ENOTFOUND') return 'Check the host name.'
  return undefined
}
