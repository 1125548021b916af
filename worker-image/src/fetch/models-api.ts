import { isDeepStrictEqual } from 'node:util'
import type { BlobStore } from './blob-store.ts'
import type { Fetcher } from './fetcher.ts'
import { type ModelRecord, type ModelRequest, type ModelState, modelRequestSchema, newRecord } from './model-record.ts'
import { CallRefused } from './mtls-server.ts'
import type { Registry } from './registry.ts'

const settledMs = 250

export type ModelsApiDeps = {
  registry: Registry
  blobs: BlobStore
  fetcher: Fetcher
  maxModels: number
  maxFiles: number
}

/** Adds, replaces and deletes models for the operator; one call at a time for each of them. */
export class ModelsApi {
  readonly #deps: ModelsApiDeps
  #last: Promise<unknown> = Promise.resolve()

  constructor(deps: ModelsApiDeps) {
    this.#deps = deps
  }

  list(): ModelState[] {
    return [...this.#deps.registry.records.values()].map(({ state }) => state)
  }

  get(uid: string): ModelState {
    const record = this.#deps.registry.records.get(uid)
    if (record === undefined) throw new CallRefused(404, 'NotFound', 'no such model')
    return record.state
  }

  /** Idempotent; a higher generation replaces, the same or a lower one with other content is a conflict. */
  async put(uid: string, body: unknown): Promise<ModelState> {
    const parsed = modelRequestSchema.safeParse(body)
    if (!parsed.success) {
      const issue = parsed.error.issues[0]
      throw new CallRefused(
        400,
        'Invalid',
        `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`.slice(0, 500),
      )
    }
    const request = parsed.data
    if (request.uid !== uid) throw new CallRefused(400, 'Invalid', 'uid: is not the uid of the path')
    const state = await this.#inTurn(() => this.#put(request))
    const { fetcher, registry } = this.#deps
    if (!fetcher.isJudged(uid)) return state
    // Saves the caller from asking again: nothing is left to do but to see that the files are still what they were.
    await fetcher.settled(uid, settledMs)
    return registry.records.get(uid)?.state ?? state
  }

  delete(uid: string): Promise<void> {
    return this.#inTurn(async () => {
      const { registry, fetcher } = this.#deps
      if (!registry.records.has(uid)) throw new CallRefused(404, 'NotFound', 'no such model')
      await fetcher.stop(uid)
      registry.records.delete(uid)
      await registry.save()
      await this.collect()
    })
  }

  /** Removes files that no model names any more. */
  async collect(): Promise<void> {
    const { registry, blobs } = this.#deps
    await blobs.collect(registry.named(), new Set(registry.records.keys()))
  }

  async #put(request: ModelRequest): Promise<ModelState> {
    const { registry, fetcher, maxModels, maxFiles } = this.#deps
    const { uid } = request
    const old = registry.records.get(uid)
    if (old !== undefined) {
      const same = isDeepStrictEqual({ ...old.request, generation: request.generation }, request)
      if (old.request.generation >= request.generation) {
        if (same && old.request.generation === request.generation) return old.state
        throw new CallRefused(409, 'Conflict', `generation ${old.request.generation} is known with other content`)
      }
      if (same && old.state.phase !== 'Failed') return this.#renumber(old, request.generation)
      await fetcher.stop(uid)
    } else if (registry.records.size >= maxModels) {
      throw new CallRefused(507, 'TooLarge', `more than ${maxModels} models`)
    }
    let files = request.files.length
    for (const record of registry.records.values()) if (record.request.uid !== uid) files += record.request.files.length
    if (files > maxFiles) throw new CallRefused(507, 'TooLarge', `more than ${maxFiles} files`)
    const record = newRecord(request)
    registry.records.set(uid, record)
    await registry.save()
    if (old !== undefined) await this.collect()
    fetcher.wake(uid)
    return record.state
  }

  async #renumber(record: ModelRecord, generation: number): Promise<ModelState> {
    record.request.generation = generation
    record.state.generation = generation
    await this.#deps.registry.save()
    return record.state
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work)
    // The next call goes on whatever came of this one; its caller hears of it.
    this.#last = result.catch(() => undefined)
    return result
  }
}
