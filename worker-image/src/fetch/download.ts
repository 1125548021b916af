import { createHash, type Hash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open, readFile, rm, writeFile } from 'node:fs/promises'
import { HansaError, messageOf } from '@hansa/operator/process/errors.ts'
import { ModelRefused } from '../model/model-refused.ts'
import { FetchError } from './fetch-error.ts'
import { hashPrefix } from './hash-file.ts'
import type { SourceResponse } from './open-source.ts'
import { watchRate } from './rate-watch.ts'
import { refusedStatus } from './refused-status.ts'

export type WantedFile = { path: string; sha256: string; sizeBytes: number }

/** Asks the source for the file or for the range that the headers name; the caller closes the response. */
export type OpenPart = (headers: Record<string, string>, signal: AbortSignal) => Promise<Omit<SourceResponse, 'url'>>

export type DownloadDeps = {
  stallSeconds: number
  minBytesPerSecond: number
  /** Called with the bytes of the file that are on disk, and with how many of them came just now. */
  progress: (onDisk: number, received: number) => void
}

/**
 * Downloads what `source.open` gives into the file `part` until it has the wanted size and digest, going on where an earlier call stopped. The
 * server is asked for a range of the same version (If-Range, RFC 9110 13.1.5); should the whole still not have its digest, it
 * is fetched once more from the start. Throws `FetchError`, or `ModelRefused` for a wrong size or digest.
 */
export async function download(
  source: { open: OpenPart; host: string },
  wanted: WantedFile,
  part: string,
  stop: AbortSignal,
  deps: DownloadDeps,
): Promise<void> {
  const handle = await open(part, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)
  try {
    const resumed = await attempt(source, wanted, part, handle, stop, deps, true)
    if (resumed === 'again') await attempt(source, wanted, part, handle, stop, deps, false)
    await handle.sync()
  } catch (error) {
    throw asStorageError(error)
  } finally {
    await handle.close()
  }
  await rm(`${part}.json`, { force: true })
}

async function attempt(
  source: { open: OpenPart; host: string },
  wanted: WantedFile,
  part: string,
  handle: FileHandle,
  stop: AbortSignal,
  deps: DownloadDeps,
  resume: boolean,
): Promise<'done' | 'again'> {
  const before = (await handle.stat()).size
  let position = resume && before <= wanted.sizeBytes ? before : 0
  if (position !== before) await handle.truncate(position)
  let hash = await hashPrefix(handle, position, stop)
  const started = position
  if (position < wanted.sizeBytes) {
    const rate = watchRate({ seconds: deps.stallSeconds, minBytes: deps.minBytesPerSecond * deps.stallSeconds })
    const signal = AbortSignal.any([stop, rate.signal])
    try {
      const validator = position === 0 ? undefined : await readValidator(part)
      const headers: Record<string, string> = {}
      if (position > 0) headers.range = `bytes=${position}-`
      if (validator !== undefined) headers['if-range'] = validator
      const response = await source.open(headers, signal)
      try {
        if (position > 0 && response.status === 416) return 'again'
        const offset = checkResponse(response, wanted, position)
        if (offset !== position) {
          await handle.truncate(0)
          position = 0
          hash = createHash('sha256')
        }
        await writeValidator(part, response)
        position = await receive(response, wanted, handle, hash, position, rate, deps)
      } finally {
        await response.close()
      }
    } catch (error) {
      stop.throwIfAborted()
      if (rate.signal.aborted) throw rate.signal.reason
      if (error instanceof HansaError || isStorageError(error)) throw error
      throw new FetchError('SourceUnreachable', `the connection to ${source.host} broke: ${messageOf(error)}`, {
        cause: error,
      })
    } finally {
      rate.stop()
    }
  }
  const digest = hash.digest('hex')
  if (digest === wanted.sha256) return 'done'
  if (started > 0) return 'again'
  throw new ModelRefused('DigestMismatch', `has the SHA-256 ${digest}, not ${wanted.sha256}`, { file: wanted.path })
}

async function receive(
  response: Omit<SourceResponse, 'url'>,
  wanted: WantedFile,
  handle: FileHandle,
  hash: Hash,
  from: number,
  rate: { received(bytes: number): void },
  deps: DownloadDeps,
): Promise<number> {
  let position = from
  for await (const chunk of response.body) {
    if (position + chunk.length > wanted.sizeBytes) {
      throw new ModelRefused('SizeMismatch', `is larger than ${wanted.sizeBytes} bytes`, { file: wanted.path })
    }
    rate.received(chunk.length)
    hash.update(chunk)
    await handle.write(chunk, 0, chunk.length, position)
    position += chunk.length
    deps.progress(position, chunk.length)
  }
  if (position < wanted.sizeBytes) {
    throw new ModelRefused('SizeMismatch', `has ${position} bytes, not ${wanted.sizeBytes}`, { file: wanted.path })
  }
  return position
}

/** Where the bytes of the response begin in the file. */
function checkResponse(response: Omit<SourceResponse, 'url'>, wanted: WantedFile, position: number): number {
  const { status, headers } = response
  if (status !== 200 && status !== 206) throw refusedStatus('the source', response)
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') {
    throw new FetchError('SourceUnreachable', 'the source compresses its answer although it was asked not to')
  }
  if (status === 200) {
    const length = headers['content-length']
    if (length !== undefined && Number(length) !== wanted.sizeBytes) {
      throw new ModelRefused('SizeMismatch', `has ${Number(length)} bytes, not ${wanted.sizeBytes}`, {
        file: wanted.path,
      })
    }
    return 0
  }
  const range = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(String(headers['content-range'] ?? ''))
  if (range === null || position === 0 || Number(range[1]) !== position) {
    throw new FetchError('SourceUnreachable', 'the source answers with another part than it was asked for')
  }
  if (range[3] !== '*' && Number(range[3]) !== wanted.sizeBytes) {
    throw new ModelRefused('SizeMismatch', `has ${range[3]} bytes, not ${wanted.sizeBytes}`, { file: wanted.path })
  }
  return position
}

/** A strong ETag, else the date: only those may stand in If-Range. */
async function writeValidator(part: string, response: Omit<SourceResponse, 'url'>): Promise<void> {
  const { etag, 'last-modified': lastModified } = response.headers
  const validator = typeof etag === 'string' && etag.startsWith('"') ? etag : lastModified
  if (typeof validator !== 'string' || validator.length > 512) await rm(`${part}.json`, { force: true })
  else await writeFile(`${part}.json`, JSON.stringify({ validator }), { mode: 0o600 })
}

async function readValidator(part: string): Promise<string | undefined> {
  try {
    const stored: unknown = JSON.parse(await readFile(`${part}.json`, 'utf8'))
    const validator =
      typeof stored === 'object' && stored !== null && 'validator' in stored ? stored.validator : undefined
    return typeof validator === 'string' && /^[\x20-\x7e]+$/.test(validator) ? validator : undefined
  } catch {
    // None was given, or a crash cut it off: the digest is checked in any case.
    return undefined
  }
}

function isStorageError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO'].includes(String(error.code))
}

function asStorageError(error: unknown): unknown {
  if (!isStorageError(error)) return error
  return new FetchError('StorageFull', `the file cannot be written: ${messageOf(error)}`, { cause: error })
}
