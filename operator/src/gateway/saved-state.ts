import { join } from 'node:path'
import { z } from 'zod'
import type { Clock } from '../kube/clock.ts'
import { messageOf } from '../process/errors.ts'
import type { Logger } from '../process/log.ts'
import { readStateFile, writeStateFile } from '../process/state-file.ts'

const debounceMs = 500

/** The last known list of something on disk, for a gateway that starts while the API server is away. */
export class SavedState<T> {
  #pending: readonly T[] | undefined
  #lastText = ''
  #writing: Promise<void> = Promise.resolve()
  #cancel: (() => void) | undefined
  readonly #deps: SavedStateDeps<T>
  readonly #schema

  constructor(deps: SavedStateDeps<T>) {
    this.#deps = deps
    this.#schema = z.object({
      version: z.number().refine((version) => deps.versions.includes(version), 'is of another gateway'),
      savedAt: z.number(),
      [deps.field]: z.array(deps.item).max(100_000),
    })
  }

  /** Undefined when nothing was saved, or by a version that wrote it in another form. */
  async load(): Promise<{ savedAt: number; items: T[] } | undefined> {
    const { log, fileName } = this.#deps
    try {
      const text = await readStateFile(this.#path())
      if (text === undefined) return undefined
      const { savedAt, [this.#deps.field]: items } = this.#schema.parse(JSON.parse(text))
      // The schema has these two members by name and by computed name, which its type cannot keep apart.
      return { savedAt: savedAt as number, items: items as T[] }
    } catch (error) {
      log.warn({ error: messageOf(error), file: fileName }, 'saved state cannot be used')
      return undefined
    }
  }

  /** Saves soon; many changes in a row become one write. */
  save(items: readonly T[]): void {
    this.#pending = items
    this.#cancel ??= this.#deps.clock.after(debounceMs, () => {
      this.#cancel = undefined
      void this.flush()
    })
  }

  flush(): Promise<void> {
    this.#cancel?.()
    this.#cancel = undefined
    this.#writing = this.#writing.then(() => this.#write())
    return this.#writing
  }

  async #write(): Promise<void> {
    const { clock, log, versions, field, fileName } = this.#deps
    const items = this.#pending
    this.#pending = undefined
    if (items === undefined) return
    const text = JSON.stringify(items)
    if (text === this.#lastText) return
    try {
      await writeStateFile(this.#path(), `{"version":${versions[0]},"savedAt":${clock.now()},"${field}":${text}}`)
      this.#lastText = text
    } catch (error) {
      log.error(
        { error: messageOf(error), file: fileName },
        'state cannot be saved; a restart without the API server would begin with nothing',
      )
    }
  }

  #path(): string {
    return join(this.#deps.stateDir, this.#deps.fileName)
  }
}

export type SavedStateDeps<T> = {
  stateDir: string
  fileName: string
  /** What can be read; the first is what is written. */
  versions: readonly [number, ...number[]]
  /** Member of the file that holds the list. */
  field: string
  item: z.ZodType<T>
  clock: Clock
  log: Logger
}
