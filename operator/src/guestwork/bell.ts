import type { KubeObject } from '../api/resource.ts'
import type { Clock } from '../kube/clock.ts'
import type { Source } from '../kube/controller.ts'
import type { Change, Store } from '../kube/store.ts'

export type Bell = Source & { ring(): void }

// What changes at once is looked at once.
const gatherMilliseconds = 20

/** A source that names all of `keys` when it is rung: for changes that concern everybody. */
export function createBell(clock: Clock, keys: () => readonly string[], synced: Promise<unknown>): Bell {
  const listeners = new Set<(key: string) => void>()
  let rung = false
  return {
    synced: synced.then(() => undefined),
    ring() {
      if (rung) return
      rung = true
      clock.after(gatherMilliseconds, () => {
        rung = false
        for (const key of keys()) for (const listener of listeners) listener(key)
      })
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/** Rings when an object comes, goes, or changes in what `said` says of it. */
export function ringOn<T extends KubeObject>(
  bell: Pick<Bell, 'ring'>,
  store: Pick<Store<T>, 'subscribe'>,
  said: (object: T) => string,
): void {
  store.subscribe(({ previous, current }: Change<T>) => {
    const before = previous === undefined ? undefined : said(previous)
    const after = current === undefined ? undefined : said(current)
    if (before !== after) bell.ring()
  })
}
