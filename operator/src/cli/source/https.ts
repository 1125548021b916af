import { setTimeout as delay } from 'node:timers/promises'
import { Agent, type Dispatcher } from 'undici'
import type { ModelFile } from '../../api/model.ts'
import { messageOf } from '../../process/errors.ts'
import { CliError, sourceError } from '../cli-error.ts'
import { digestFile } from './digest.ts'
import { type OpenFile, openFile } from './open-file.ts'
import type { ReadDeps } from './source-file.ts'

const stallMilliseconds = 60_000
const attempts = 5

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

/** Connections to sources; `ca` in PEM instead of the public authorities. A silent one is given up after a minute. */
export function sourceAgent(ca: string | undefined): Agent {
  return new Agent({
    connect: { timeout: 10_000, ...(ca === undefined ? {} : { ca }) },
    headersTimeout: stallMilliseconds,
    bodyTimeout: stallMilliseconds,
  })
}

/** Downloads each file at `<folder><path>`, keeps nothing but digest and size. */
export async function digestHttps(options: HttpsOptions, deps: ReadDeps): Promise<ModelFile[]> {
  const dispatcher = sourceAgent(options.ca)
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
  const { authorization } = options
  const open = (from?: { offset: number; etag: string }) =>
    openFile(url, { dispatcher, signal: deps.signal, authorization, ...(from === undefined ? {} : { from }) })
  try {
    const first = await open()
    const { total } = first
    if (total !== undefined && total > maxBytes) {
      await first.close()
      throw sourceError(`${url} has ${total} bytes, more than the ${maxBytes} that are left`, 'Raise --max-bytes.')
    }
    return await digestFile(path, continued(first, open, deps.signal), { maxBytes, total }, deps)
  } catch (error) {
    if (error instanceof CliError || deps.signal.aborted) throw error
    throw sourceError(`cannot read ${url}: ${messageOf(error)}`, hintOf(error), error)
  }
}

/** The bytes of a file; a download that breaks off is continued where it stopped, as long as the file is the same. */
async function* continued(
  first: OpenFile,
  open: (from: { offset: number; etag: string }) => Promise<OpenFile>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { etag, total } = first
  let body: OpenFile['body'] | undefined = first.body
  let offset = 0
  for (let attempt = 1; ; attempt += 1) {
    const before = offset
    try {
      body ??= await reopen()
      for await (const chunk of body) {
        offset += chunk.length
        yield chunk
      }
      return
    } catch (error) {
      body = undefined
      if (offset > before) attempt = 1
      const final = error instanceof CliError || signal.aborted || attempt >= attempts
      if (final || etag === undefined || offset === 0) throw error
      await delay(1000 * 2 ** (attempt - 1), undefined, { signal })
    }
  }

  async function reopen(): Promise<OpenFile['body']> {
    const next = await open({ offset, etag: etag ?? '' })
    if (next.offset === offset && next.total === total && next.etag === etag) return next.body
    await next.close()
    throw sourceError('the file was changed while it was read', 'Run the command again.')
  }
}

/** What to do about a connection that could not be made. */
export function hintOf(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (/CERT|ISSUER|SIGNATURE|SELF_SIGNED|ALTNAME/.test(code)) {
    return 'For a private certificate authority, name its file with --ca-file.'
  }
  if (code === 'ENOTFOUND') return 'Check the host name.'
  return undefined
}
