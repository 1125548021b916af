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
      version: z.literal(deps.version),
      savedAt: z.number(),
      items: z.array(deps.item).max(100_000),
    })
  }

  /** Undefined when nothing was saved, or by a version that wrote it in another form. */
  async load(): Promise<{ savedAt: number; items: T[] } | undefined> {
    const { log, fileName } = this.#deps
    try {
      const text = await readStateFile(this.#path())
      return text === undefined ? undefined : this.#schema.parse(JSON.parse(text))
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
    const { clock, log, version, fileName } = this.#deps
    const items = this.#pending
    this.#pending = undefined
    if (items === undefined) return
    const text = JSON.stringify(items)
    if (text === this.#lastText) return
    try {
      await writeStateFile(this.#path(), `{"version":${version},"savedAt":${clock.now()},"items":${text}}`)
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
  version: number
  item: z.ZodType<T>
  clock: Clock
  log: Logger
}
