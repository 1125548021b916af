import { join } from 'node:path'
import { z } from 'zod'
import type { Clock } from '../../kube/clock.ts'
import { messageOf } from '../../process/errors.ts'
import type { Logger } from '../../process/log.ts'
import { readStateFile, writeStateFile } from '../../process/state-file.ts'
import { type RouteSpec, routeSpecSchema } from './route-spec.ts'

// Routes of version 1 lack fields that have defaults.
const savedSchema = z.object({
  version: z.union([z.literal(1), z.literal(2)]),
  savedAt: z.number(),
  routes: z.array(routeSpecSchema),
})
const debounceMs = 500

/** The last known routes on disk, for a gateway that starts while the API server is away. */
export class SavedRoutes {
  #pending: readonly RouteSpec[] | undefined
  #lastText = ''
  #writing: Promise<void> = Promise.resolve()
  #cancel: (() => void) | undefined
  readonly #deps: { stateDir: string; clock: Clock; log: Logger }

  constructor(deps: { stateDir: string; clock: Clock; log: Logger }) {
    this.#deps = deps
  }

  async load(): Promise<{ savedAt: number; routes: RouteSpec[] } | undefined> {
    const { log } = this.#deps
    try {
      const text = await readStateFile(this.#path())
      return text === undefined ? undefined : savedSchema.parse(JSON.parse(text))
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'saved routes cannot be used')
      return undefined
    }
  }

  /** Saves soon; many changes in a row become one write. */
  save(routes: readonly RouteSpec[]): void {
    this.#pending = routes
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
    const routes = this.#pending
    this.#pending = undefined
    if (routes === undefined) return
    const text = JSON.stringify(routes)
    if (text === this.#lastText) return
    try {
      await writeStateFile(this.#path(), `{"version":2,"savedAt":${this.#deps.clock.now()},"routes":${text}}`)
      this.#lastText = text
    } catch (error) {
      this.#deps.log.error(
        { error: messageOf(error) },
        'routes cannot be saved; a restart without the API server would serve nothing',
      )
    }
  }

  #path(): string {
    return join(this.#deps.stateDir, 'routes.json')
  }
}
