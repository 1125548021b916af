import type { ModelFile } from '@hansa/operator/api/model.ts'
import { HansaError, messageOf } from '@hansa/operator/process/errors.ts'
import type { Logger } from '@hansa/operator/process/log.ts'
import { type CheckModelOptions, checkModel } from '../model/check-model.ts'
import { ModelRefused } from '../model/model-refused.ts'
import type { BlobStore } from './blob-store.ts'
import { eachAtOnce } from './each-at-once.ts'
import type { KeyedLimit } from './keyed-limit.ts'
import type { FetchMetrics } from './metrics.ts'
import type { ModelRecord, ModelState } from './model-record.ts'
import { type ObtainDeps, type ObtainFile, obtainFrom, sourceKind } from './obtain-file.ts'
import type { Registry } from './registry.ts'
import { createVerdicts } from './verdicts.ts'

export type FetcherDeps = {
  registry: Registry
  blobs: BlobStore
  /** Places for downloads, and for processes that decode. */
  downloads: KeyedLimit
  checks: KeyedLimit
  obtain: ObtainDeps
  check: Pick<CheckModelOptions, 'allowedDomains' | 'deadlineMs' | 'heapMegabytes' | 'limits'>
  metrics: FetchMetrics
  log: Logger
  clock: () => number
  random: () => number
  /** First pause after a failure; it doubles up to ten minutes. */
  retrySeconds: number
}

type Task = { stop: AbortController; done: Promise<void> }

const longestRetrySeconds = 600

/** Works on every model of the registry until it is Verified or Failed for good. */
export class Fetcher {
  readonly #deps: FetcherDeps
  readonly #tasks = new Map<string, Task>()
  readonly #timers = new Map<string, NodeJS.Timeout>()
  readonly #verdicts = createVerdicts()
  #closed = false

  constructor(deps: FetcherDeps) {
    this.#deps = deps
  }

  /** Takes up the model's work unless it is under way, done, or has failed for good. */
  wake(uid: string): void {
    const record = this.#deps.registry.records.get(uid)
    if (this.#closed || record === undefined || this.#tasks.has(uid)) return
    const { state } = record
    if (state.phase === 'Verified' || (state.phase === 'Failed' && state.retryAt === undefined)) return
    const wait = state.retryAt === undefined ? 0 : Date.parse(state.retryAt) - this.#deps.clock()
    if (wait > 0) {
      this.#later(uid, wait)
      return
    }
    const stop = new AbortController()
    const done = this.#run(record, stop.signal).finally(() => {
      this.#tasks.delete(uid)
      if (!stop.signal.aborted) this.wake(uid)
    })
    this.#tasks.set(uid, { stop, done })
  }

  /** Stops the model's work and waits until nothing of it writes any more. */
  async stop(uid: string): Promise<void> {
    clearTimeout(this.#timers.get(uid))
    this.#timers.delete(uid)
    const task = this.#tasks.get(uid)
    if (task === undefined) return
    task.stop.abort(new Error('the model was replaced or deleted'))
    await task.done
  }

  /** Whether the model's files were judged before, so that its work is over in a moment. */
  isJudged(uid: string): boolean {
    const record = this.#deps.registry.records.get(uid)
    return record !== undefined && this.#verdicts.isSafe(record.request)
  }

  /** Resolves when the model's work ends, or after that time. */
  async settled(uid: string, milliseconds: number): Promise<void> {
    const task = this.#tasks.get(uid)
    if (task === undefined) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, milliseconds)
    await Promise.race([task.done, promise])
    clearTimeout(timer)
  }

  /** Says that a stored file has changed on disk: no model that names it is Verified any more, and it is fetched again. */
  async corrupted(sha256: string): Promise<void> {
    const { registry, blobs, log, clock, metrics } = this.#deps
    log.error({ reason: 'DigestMismatch', sha256 }, 'a stored file no longer has its digest, it is fetched again')
    await blobs.remove(sha256)
    for (const record of registry.records.values()) {
      const file = record.request.files.find((each) => each.sha256 === sha256)
      if (file === undefined) continue
      record.delivered = record.delivered.filter((each) => each !== sha256)
      if (record.state.phase !== 'Verified') continue
      metrics.failed('DigestMismatch')
      record.state = {
        ...record.state,
        phase: 'Failed',
        reason: 'DigestMismatch',
        message: 'the stored copy changed on the disk of the fetch worker; it is fetched again',
        file: file.path,
        retryAt: new Date(clock() + this.#deps.retrySeconds * 1000).toISOString(),
      }
      this.wake(record.request.uid)
    }
    await registry.save()
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const timer of this.#timers.values()) clearTimeout(timer)
    await Promise.all([...this.#tasks.keys()].map((uid) => this.stop(uid)))
  }

  #later(uid: string, milliseconds: number): void {
    clearTimeout(this.#timers.get(uid))
    const timer = setTimeout(() => {
      this.#timers.delete(uid)
      this.wake(uid)
    }, milliseconds)
    this.#timers.set(uid, timer)
  }

  async #run(record: ModelRecord, signal: AbortSignal): Promise<void> {
    const { registry, blobs, log, metrics } = this.#deps
    const { uid, namespace, name, files } = record.request
    const child = log.child({ kind: 'Model', namespace, name, uid, generation: record.request.generation })
    try {
      this.#update(record, { phase: 'Fetching', reason: 'Fetching', message: 'fetching' })
      await this.#fetchFiles(record, signal)
      await this.#check(record, signal)
      record.attempts = 0
      const message = `${files.length} files have their digests and are safe to load`
      this.#update(record, { phase: 'Verified', reason: 'Verified', message })
      await blobs.discardAll(uid)
      child.info({ bytes: record.state.totalBytes }, 'model verified')
    } catch (error) {
      if (signal.aborted) return
      this.#failed(record, error)
      metrics.failed(record.state.reason)
      const { reason, message, file, retryAt } = record.state
      child.warn({ reason, file, retryAt }, message)
      if (retryAt === undefined) await blobs.discardAll(uid)
    }
    // A registry that cannot be written only costs a second check after the next restart, and says so itself.
    await registry.save().catch(() => undefined)
  }

  async #fetchFiles(record: ModelRecord, signal: AbortSignal): Promise<void> {
    const { blobs, obtain, downloads } = this.#deps
    const { files } = record.request
    if (record.state.totalBytes > blobs.maxBytes) {
      throw new ModelRefused(
        'TooLarge',
        `the files have more than the ${blobs.maxBytes} bytes that all models may take`,
      )
    }
    // Paths with the same bytes are one download, and would be two writers of one unfinished file.
    const byDigest = Map.groupBy(files, ({ sha256 }) => sha256)
    const onDisk = new Map<string, number>()
    let done = 0
    const show = () => {
      const message = files.length === 1 ? 'fetching the file' : `fetching, ${done} of ${files.length} files are here`
      this.#update(record, { phase: 'Fetching', reason: 'Fetching', message })
    }
    show()
    await eachAtOnce([...byDigest.values()], downloads.perKey, signal, (stop) => {
      const obtainFile = obtainFrom(record.request, stop, obtain)
      return async ([file, ...copies]) => {
        if (file === undefined) return
        const other = copies.find(({ sizeBytes }) => sizeBytes !== file.sizeBytes)
        if (other !== undefined)
          throw new ModelRefused('SizeMismatch', 'has another size than a file of the same digest', {
            file: other.path,
          })
        await this.#fetchFile(record, file, obtainFile, stop, (bytes) => {
          onDisk.set(file.sha256, bytes * (1 + copies.length))
          record.state.fetchedBytes = [...onDisk.values()].reduce((sum, each) => sum + each, 0)
        })
        done += 1 + copies.length
        show()
      }
    })
  }

  async #fetchFile(
    record: ModelRecord,
    file: ModelFile,
    obtainFile: ObtainFile,
    signal: AbortSignal,
    onDisk: (bytes: number) => void,
  ): Promise<void> {
    const { registry, blobs, downloads, metrics } = this.#deps
    const { uid, namespace, source } = record.request
    const { sha256, sizeBytes, path } = file
    const held = record.delivered.includes(sha256) || registry.grants(namespace, sha256)
    if (!held || !blobs.has(sha256)) {
      await downloads.run(namespace, signal, async () => {
        const progress = (bytes: number, received: number) => {
          metrics.received.inc({ source: sourceKind(source) }, received)
          onDisk(bytes)
        }
        await withFile(path, async () => {
          const part = await blobs.reserve(uid, sha256, sizeBytes)
          await obtainFile(file, part, progress)
        })
        if (blobs.has(sha256)) await blobs.discard(uid, sha256)
        else await blobs.adopt(uid, sha256)
      })
    } else if (blobs.size(sha256) !== sizeBytes) {
      throw new ModelRefused('SizeMismatch', `has ${blobs.size(sha256)} bytes, not ${sizeBytes}`, { file: path })
    }
    if (!record.delivered.includes(sha256)) record.delivered.push(sha256)
    onDisk(sizeBytes)
  }

  async #check(record: ModelRecord, signal: AbortSignal): Promise<void> {
    const { blobs, checks, check, metrics } = this.#deps
    const { namespace, files, format, entrypoint } = record.request
    const digests = new Map(files.map((file) => [file.path, file.sha256]))
    await checks.run(namespace, signal, async () => {
      this.#update(record, { phase: 'Fetching', reason: 'Fetching', message: 'checking the files' })
      for (const file of files) {
        if (!(await blobs.intact(file.sha256, signal))) {
          await blobs.remove(file.sha256)
          record.delivered = record.delivered.filter((each) => each !== file.sha256)
          throw new HansaError('DigestMismatch', 'the stored copy changed on the disk of the fetch worker')
        }
      }
      // A guest's Model is a new object each time, mostly with the same files.
      if (this.#verdicts.isSafe(record.request)) return
      const end = metrics.checkSeconds.startTimer()
      await checkModel({
        dir: (path) => blobs.open(digests.get(path) ?? ''),
        files,
        format,
        ...(entrypoint === undefined ? {} : { entrypoint }),
        ...check,
        signal,
      })
      end()
      this.#verdicts.markSafe(record.request)
    })
  }

  #update(record: ModelRecord, change: Pick<ModelState, 'phase' | 'reason' | 'message'>): void {
    const { file: _file, retryAt: _retryAt, ...rest } = record.state
    record.state = { ...rest, ...change }
  }

  #failed(record: ModelRecord, error: unknown): void {
    const { clock, random, retrySeconds } = this.#deps
    record.attempts += 1
    const known = error instanceof HansaError ? error : undefined
    const reason = known?.reason === undefined || known.reason === 'CheckFailed' ? 'SourceUnreachable' : known.reason
    const file = error instanceof ModelRefused ? error.file : fileOf.get(known ?? {})
    this.#update(record, { phase: 'Failed', reason, message: messageOf(error).slice(0, 2000) })
    if (file !== undefined) record.state.file = file
    if (known?.retry === 'never') return
    const doubled = Math.min(retrySeconds * 2 ** Math.min(record.attempts - 1, 20), longestRetrySeconds)
    const seconds = known?.afterSeconds ?? doubled * (0.75 + random() / 2)
    record.state.retryAt = new Date(clock() + seconds * 1000).toISOString()
  }
}

/** Which file an error is about, for errors that are not `ModelRefused`. */
const fileOf = new WeakMap<object, string>()

async function withFile(path: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (error instanceof Error) fileOf.set(error, path)
    throw error
  }
}
