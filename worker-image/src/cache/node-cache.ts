import { messageOf } from '@hansa/operator/process/errors.ts'
import type { Logger } from '@hansa/operator/process/log.ts'
import type { BlobStore } from '../fetch/blob-store.ts'
import { CallRefused } from '../fetch/mtls-server.ts'
import { Filling } from './filling.ts'
import type { CacheMetrics } from './metrics.ts'
import type { Upstream } from './upstream.ts'

export type NodeCacheDeps = {
  blobs: BlobStore
  upstream: Upstream
  metrics: CacheMetrics
  log: Logger
  signal: AbortSignal
  stallSeconds: number
}

/** Owner of unfinished files in the store. */
const owner = 'cache'
const mostFillings = 16

/** Files of one node: each is got once however many workers ask, and the one that was used the longest ago goes first. */
export class NodeCache {
  readonly #deps: NodeCacheDeps
  readonly #fillings = new Map<string, { started: Promise<Filling>; done: Promise<void> }>()
  /** Digests of whole files, the one used last at the end. */
  readonly #used = new Set<string>()

  constructor(deps: NodeCacheDeps) {
    this.#deps = deps
  }

  /** Whether the whole file is here; that counts as a use. */
  async has(sha256: string): Promise<boolean> {
    const { blobs, signal } = this.#deps
    if (!blobs.has(sha256)) return false
    if (!(await blobs.intact(sha256, signal))) {
      await this.drop(sha256)
      return false
    }
    this.#used.delete(sha256)
    this.#used.add(sha256)
    return true
  }

  /**
   * The file while it comes in, held for the caller; undefined where one has just ended and the caller looks again. Throws
   * CallRefused 503 where there is no room.
   */
  async fill(namespace: string, sha256: string, sizeBytes: number): Promise<Filling | undefined> {
    const { metrics } = this.#deps
    const running = this.#fillings.get(sha256)
    if (running !== undefined) {
      const filling = await running.started
      if (filling.hold()) {
        metrics.requests.inc({ result: 'joined' })
        return filling
      }
      await running.done
      return undefined
    }
    if (this.#fillings.size >= mostFillings) throw new CallRefused(503, 'StorageFull', 'too many files come in')
    const started = this.#start(sha256, sizeBytes)
    const done = started.then((filling) => this.#run(filling, namespace, sha256)).catch(() => undefined)
    this.#fillings.set(sha256, { started, done: done.finally(() => this.#fillings.delete(sha256)) })
    const filling = await started
    metrics.requests.inc({ result: 'filled' })
    return filling
  }

  /** Forgets a file. */
  async drop(sha256: string): Promise<void> {
    this.#used.delete(sha256)
    await this.#deps.blobs.remove(sha256)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#fillings.values()].map(({ done }) => done))
  }

  /** Makes room and a file, held for the caller. */
  async #start(sha256: string, sizeBytes: number): Promise<Filling> {
    const { blobs } = this.#deps
    await this.#makeRoom(sizeBytes)
    const path = await blobs.reserve(owner, sha256, sizeBytes).catch((error: unknown) => {
      throw new CallRefused(503, 'StorageFull', messageOf(error))
    })
    try {
      const filling = await Filling.create(path, sha256, sizeBytes)
      filling.hold()
      return filling
    } catch (error) {
      await blobs.discard(owner, sha256)
      throw error
    }
  }

  async #run(filling: Filling, namespace: string, sha256: string): Promise<void> {
    const { blobs, upstream, metrics, log, signal, stallSeconds } = this.#deps
    try {
      await filling.run(
        (position, stop) => upstream.open(namespace, sha256, position, stop),
        async () => {
          await blobs.adopt(owner, sha256)
          this.#used.add(sha256)
        },
        signal,
        { received: (bytes) => metrics.filled.inc(bytes), stallSeconds },
      )
    } catch (error) {
      metrics.requests.inc({ result: 'failed' })
      if (!signal.aborted) log.warn({ sha256 }, `a file was not cached: ${messageOf(error)}`)
      await blobs.discard(owner, sha256)
    }
  }

  async #makeRoom(sizeBytes: number): Promise<void> {
    const { blobs, metrics, log } = this.#deps
    // After a restart nobody knows the order any more; those come before all that was used since.
    const order = [...blobs.list().filter((sha256) => !this.#used.has(sha256)), ...this.#used]
    for (const sha256 of order) {
      if (blobs.usedBytes + sizeBytes <= blobs.maxBytes) return
      metrics.evicted.inc(blobs.size(sha256) ?? 0)
      log.info({ sha256 }, 'evicted the file that was used the longest ago')
      await this.drop(sha256)
    }
    if (blobs.usedBytes + sizeBytes > blobs.maxBytes) {
      throw new CallRefused(503, 'StorageFull', `${sizeBytes} bytes do not fit into the cache`)
    }
  }
}
