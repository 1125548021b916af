import type { Model } from '../api/model.ts'
import { type Clock, sleep } from '../kube/clock.ts'
import type { Source } from '../kube/controller.ts'
import { keyOf } from '../kube/resource.ts'
import type { Store } from '../kube/store.ts'
import { messageOf } from '../process/errors.ts'
import type { Logger } from '../process/log.ts'
import type { FetchClient, FetchState } from './fetch-client.ts'

const idleSeconds = 10
const busySeconds = 0.25
/** Files that are there and were judged before take less than this, and somebody may be waiting for them. */
const firstSeconds = 0.05

/** What the fetch worker last said, by Model uid. */
export type FetchStates = {
  /** Undefined: the fetch worker knows nothing of it. */
  get(uid: string): FetchState | undefined
  set(state: FetchState): void
  /** Undefined: it answers; else why not. */
  readonly unreachable: string | undefined
  /** Names the Models whose state changed. */
  readonly source: Source
}

/**
 * Asks the fetch worker for all its states again and again, more often while it works, and has it forget Models that are gone.
 * One request for all Models, so that a thousand of them cost as much as one.
 */
export function startFetchStates(
  deps: {
    client: FetchClient
    models: Store<Model>
    /** Whether the API server still has that Model; asked before anything is forgotten, since a store may be behind. */
    exists: (state: FetchState, signal: AbortSignal) => Promise<boolean>
    clock: Clock
    log: Logger
  },
  signal: AbortSignal,
): FetchStates {
  let states = new Map<string, FetchState>()
  // Before the first answer nothing is known; that is not the same as being told that nothing is there.
  let unreachable: string | undefined = 'not asked yet'
  const { promise: asked, resolve: markAsked } = Promise.withResolvers<void>()
  const listeners = new Set<(key: string) => void>()

  const notify = (changed: Iterable<{ namespace: string; name: string }>) => {
    for (const state of changed) for (const listener of listeners) listener(keyOf(state))
  }

  async function poll(): Promise<boolean> {
    const items = await deps.client.list(signal)
    const before = states
    states = new Map(items.map((state) => [state.uid, state]))
    const returned = unreachable !== undefined
    unreachable = undefined
    if (returned)
      notify(deps.models.list().map(({ metadata }) => ({ namespace: metadata.namespace ?? '', name: metadata.name })))
    notify(items.filter((state) => !same(state, before.get(state.uid))))
    notify([...before.values()].filter(({ uid }) => !states.has(uid)))
    markAsked()
    await forgetGone(items)
    return items.some(({ phase }) => phase === 'Pending' || phase === 'Fetching')
  }

  async function forgetGone(items: readonly FetchState[]): Promise<void> {
    if (!deps.models.isSynced()) return
    const living = new Set(deps.models.list().map(({ metadata }) => metadata.uid))
    for (const state of items) {
      const { uid, namespace, name } = state
      if (living.has(uid)) continue
      const log = deps.log.child({ kind: 'Model', namespace, name, uid })
      try {
        if (await deps.exists(state, signal)) continue
        await deps.client.delete(uid, signal)
        states.delete(uid)
        log.info('told the fetch worker to forget a model that is gone')
      } catch (error) {
        if (signal.aborted) return
        // It is in the next answer, too.
        log.warn({ error: messageOf(error) }, 'cannot have the fetch worker forget a model')
      }
    }
  }

  // A PUT ends the pause: what was just asked for is usually done within a second.
  let wake: () => void = () => undefined
  async function pause(seconds: number): Promise<void> {
    const woken = new AbortController()
    wake = () => woken.abort()
    await sleep(deps.clock, seconds * 1000, AbortSignal.any([signal, woken.signal]))
  }

  async function loop(): Promise<void> {
    while (!signal.aborted) {
      let busy = false
      try {
        busy = await poll()
      } catch (error) {
        if (signal.aborted) return
        if (unreachable === undefined || unreachable === 'not asked yet') {
          deps.log.warn({ reason: 'FetchWorkerUnreachable' }, messageOf(error))
          unreachable = messageOf(error)
          markAsked()
          notify(
            deps.models.list().map(({ metadata }) => ({ namespace: metadata.namespace ?? '', name: metadata.name })),
          )
        }
        await sleep(deps.clock, 1000, signal)
        continue
      }
      if (sincePut() < 1_000) await pause(firstSeconds)
      else await pause(busy || recentPut() ? busySeconds : idleSeconds)
    }
  }

  let lastPut = Number.NEGATIVE_INFINITY
  const sincePut = () => deps.clock.monotonic() - lastPut
  const recentPut = () => sincePut() < 5_000

  void loop()
  return {
    get: (uid) => states.get(uid),
    set: (state) => {
      states.set(state.uid, state)
      if (!recentPut()) wake()
      lastPut = deps.clock.monotonic()
      notify([state])
    },
    get unreachable() {
      return unreachable
    },
    source: {
      synced: asked,
      subscribe: (listener) => {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
    },
  }
}

function same(a: FetchState, b: FetchState | undefined): boolean {
  return (
    b !== undefined &&
    a.phase === b.phase &&
    a.reason === b.reason &&
    a.message === b.message &&
    a.generation === b.generation
  )
}
