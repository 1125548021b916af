import { join } from 'node:path'
import { messageOf } from '@hansa/operator/process/errors.ts'
import type { Logger } from '@hansa/operator/process/log.ts'
import { readStateFile, writeStateFile } from '@hansa/operator/process/state-file.ts'
import { z } from 'zod'
import { type ModelRecord, modelRecordSchema } from './model-record.ts'

const fileSchema = z.object({ version: z.literal(1), models: z.array(modelRecordSchema) })

/** The models that the operator asked for, kept in `<dir>/fetch-models.json` across restarts: beside the blobs, which they own. */
export class Registry {
  readonly records = new Map<string, ModelRecord>()
  readonly #path: string
  readonly #log: Logger
  #saving: Promise<void> | undefined
  #dirty = false

  private constructor(path: string, log: Logger) {
    this.#path = path
    this.#log = log
  }

  /** A damaged file is put aside in words only: the operator asks for its models again. */
  static async open(dir: string, log: Logger): Promise<Registry> {
    const registry = new Registry(join(dir, 'fetch-models.json'), log)
    const text = await readStateFile(registry.#path, { maxBytes: 256 * 1024 * 1024 })
    if (text === undefined) return registry
    try {
      for (const record of fileSchema.parse(JSON.parse(text)).models) registry.records.set(record.request.uid, record)
    } catch {
      log.error(
        { reason: 'StateDamaged' },
        'the list of models cannot be read, waiting for the operator to send it again',
      )
    }
    return registry
  }

  /** Digests that some model names. */
  named(): Set<string> {
    return new Set([...this.records.values()].flatMap(({ request }) => request.files.map(({ sha256 }) => sha256)))
  }

  /** Whether a verified model of the namespace names the digest. */
  grants(namespace: string, sha256: string): boolean {
    for (const { request, state } of this.records.values()) {
      if (request.namespace !== namespace || state.phase !== 'Verified') continue
      if (request.files.some((file) => file.sha256 === sha256)) return true
    }
    return false
  }

  /** Resolves when the present content is on disk; changes that come while it writes go into the next write together. */
  save(): Promise<void> {
    this.#dirty = true
    this.#saving ??= this.#write().finally(() => {
      this.#saving = undefined
    })
    return this.#saving
  }

  async #write(): Promise<void> {
    while (this.#dirty) {
      this.#dirty = false
      try {
        await writeStateFile(this.#path, JSON.stringify({ version: 1, models: [...this.records.values()] }))
      } catch (error) {
        this.#log.error({ reason: 'StateNotWritten' }, messageOf(error))
        throw error
      }
    }
  }
}
