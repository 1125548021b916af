import { setTimeout as pause } from 'node:timers/promises'
import type { ModelFile } from '@hansa/operator/api/model.ts'
import { HansaError, messageOf } from '@hansa/operator/process/errors.ts'
import type { Logger } from '@hansa/operator/process/log.ts'
import { type Dispatcher, request } from 'undici'
import { FetchError } from '../fetch/fetch-error.ts'
import { watchRate } from '../fetch/rate-watch.ts'
import { ModelRefused } from '../model/model-refused.ts'
import { TargetFile } from './target-file.ts'

export type PullBlobDeps = {
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
 * Gets one file from the fetch worker by its digest, again and again from where it stopped, until `signal` aborts. A wrong digest
 * is tried once more from the start: the fetch worker may have noticed and fetched its copy anew. Throws the last failure.
 */
export async function pullBlob(dir: string, file: ModelFile, deps: PullBlobDeps): Promise<void> {
  const target = await TargetFile.create(dir, file)
  let last: unknown
  let mismatches = 0
  try {
    for (let attempt = 0; ; attempt += 1) {
      try {
        await receive(target, file, deps)
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

async function receive(target: TargetFile, file: ModelFile, deps: PullBlobDeps): Promise<void> {
  deps.signal.throwIfAborted()
  if (target.position === file.sizeBytes) return
  const seconds = deps.stallSeconds ?? 30
  const rate = watchRate({ seconds, minBytes: 1 })
  const from = target.position
  try {
    const response = await request(`${deps.fetchUrl}/v1/blobs/sha256:${file.sha256}`, {
      dispatcher: deps.dispatcher,
      headers: from > 0 ? { range: `bytes=${from}-` } : {},
      signal: AbortSignal.any([deps.signal, rate.signal]),
      headersTimeout: 60_000,
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
