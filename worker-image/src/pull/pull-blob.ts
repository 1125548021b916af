import { setTimeout as pause } from 'node:timers/promises'
import type { ModelFile } from '@hansa/operator/api/model.ts'
import { HansaError, messageOf } from '@hansa/operator/process/errors.ts'
import type { Logger } from '@hansa/operator/process/log.ts'
import { type Dispatcher, request } from 'undici'
import { FetchError } from '../fetch/fetch-error.ts'
import { watchRate } from '../fetch/rate-watch.ts'
import { ModelRefused } from '../model/model-refused.ts'
import { TargetFile } from './target-file.ts'

/** The cache of the node; it is asked no more once it has failed. */
export type NodeCache = { url: string; dispatcher: Dispatcher; usable: boolean }

export type PullBlobDeps = {
  cache?: NodeCache
  fetchUrl: string
  dispatcher: Dispatcher
  log: Logger
  signal: AbortSignal
  /** First pause after a failure; it doubles up to ten seconds. */
  retryMs?: number
  stallSeconds?: number
}

const longestRetryMs = 10_000

/**
 * Gets one file by its digest: from the node's cache while that is of use, else from the fetch worker, again and again from where
 * it stopped, until `signal` aborts. A wrong digest is tried once more from the start: the fetch worker may have noticed and
 * fetched its copy anew. Throws the last failure.
 */
export async function pullBlob(dir: string, file: ModelFile, deps: PullBlobDeps): Promise<void> {
  const target = await TargetFile.create(dir, file)
  let last: unknown
  let mismatches = 0
  try {
    if (deps.cache?.usable && (await receivedFromCache(target, file, deps.cache, deps))) return
    for (let attempt = 0; ; attempt += 1) {
      try {
        await receive(target, file, { url: deps.fetchUrl, dispatcher: deps.dispatcher, headersTimeout: 60_000 }, deps)
        await target.finish()
        return
      } catch (error) {
        if (!deps.signal.aborted) last = error
        if (error instanceof ModelRefused) {
          mismatches += 1
          if (mismatches > 1) throw error
          await target.restart()
        } else if (error instanceof FetchError && error.retry === 'never') {
          throw error
        }
        if (deps.signal.aborted) throw last ?? error
        deps.log.warn({ file: file.path, attempt, position: target.position }, messageOf(error))
        const wait = Math.min((deps.retryMs ?? 250) * 2 ** Math.min(attempt, 16), longestRetryMs)
        // An abort during the pause is seen by the next attempt.
        await pause(wait, undefined, { signal: deps.signal }).catch(() => undefined)
      }
    }
  } finally {
    await target.abandon()
  }
}

/** False: the fetch worker goes on from where the cache stopped, or from the start where that was wrong. */
async function receivedFromCache(
  target: TargetFile,
  file: ModelFile,
  cache: NodeCache,
  deps: PullBlobDeps,
): Promise<boolean> {
  const { url, dispatcher } = cache
  const stallSeconds = Math.min(deps.stallSeconds ?? 10, 10)
  try {
    await receive(target, file, { url, dispatcher, headersTimeout: 10_000 }, { ...deps, stallSeconds })
    await target.finish()
    return true
  } catch (error) {
    deps.signal.throwIfAborted()
    cache.usable = false
    deps.log.warn({ file: file.path, position: target.position }, `the node's cache is of no use: ${messageOf(error)}`)
    if (error instanceof ModelRefused) await target.restart()
    return false
  }
}

type BlobServer = { url: string; dispatcher: Dispatcher; headersTimeout: number }

async function receive(target: TargetFile, file: ModelFile, server: BlobServer, deps: PullBlobDeps): Promise<void> {
  deps.signal.throwIfAborted()
  if (target.position === file.sizeBytes) return
  const seconds = deps.stallSeconds ?? 30
  const rate = watchRate({ seconds, minBytes: 1 })
  const from = target.position
  try {
    const response = await request(`${server.url}/v1/blobs/sha256:${file.sha256}`, {
      dispatcher: server.dispatcher,
      headers: from > 0 ? { range: `bytes=${from}-` } : {},
      signal: AbortSignal.any([deps.signal, rate.signal]),
      headersTimeout: server.headersTimeout,
    })
    // A failed body is seen by the loop below; this one is for bodies that are given up before.
    response.body.on('error', () => undefined)
    const { statusCode } = response
    if (statusCode !== 200 && statusCode !== 206) {
      response.body.destroy()
      if (statusCode === 404) throw new FetchError('BlobNotFound', `the fetch worker has no verified file ${file.path}`)
      throw new FetchError('FetchWorkerUnreachable', `the fetch worker answers ${statusCode}`)
    }
    if (statusCode === 200 && from > 0) await target.restart()
    if (statusCode === 206 && !String(response.headers['content-range']).startsWith(`bytes ${from}-`)) {
      response.body.destroy()
      throw new FetchError('FetchWorkerUnreachable', 'the fetch worker sends another part than it was asked for')
    }
    for await (const piece of response.body) {
      rate.received(piece.length)
      await target.append(piece)
    }
  } catch (error) {
    if (error instanceof HansaError) throw error
    const reason = rate.signal.aborted ? rate.signal.reason : error
    throw new FetchError('FetchWorkerUnreachable', `the fetch worker does not answer: ${messageOf(reason)}`, {
      cause: error,
    })
  } finally {
    rate.stop()
  }
}
