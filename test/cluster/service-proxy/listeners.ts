import { messageOf } from '@hansa/operator/process/errors.ts'
import { type Forwarder, startForwarder, type Target } from './forwarder.ts'

export interface WantedListener {
  readonly at: Target
  /** Asked at each connection. */
  readonly targets: () => readonly Target[]
}

export interface Listeners {
  /** Opens and closes listeners until exactly those wanted are open; one that cannot be opened is tried again later. */
  set(wanted: ReadonlyMap<string, WantedListener>): Promise<void>
}

const retryMilliseconds = 1_000

/** Makes a set of TCP listeners, empty at first. */
export function createListeners(log: (line: string) => void): Listeners {
  const open = new Map<string, Forwarder>()
  let wantedNow: ReadonlyMap<string, WantedListener> = new Map()
  let retry: NodeJS.Timeout | undefined

  async function settle(): Promise<void> {
    clearTimeout(retry)
    for (const [key, forwarder] of open) {
      if (wantedNow.has(key)) continue
      open.delete(key)
      await forwarder.close()
    }
    for (const [key, { at, targets }] of wantedNow) {
      if (open.has(key)) continue
      try {
        open.set(key, await startForwarder(at, targets))
      } catch (error) {
        log(`service proxy: cannot listen at ${at.host}:${at.port}: ${messageOf(error)}`)
        retry = setTimeout(() => void enqueue(), retryMilliseconds).unref()
      }
    }
  }

  let queue = Promise.resolve()
  function enqueue(): Promise<void> {
    queue = queue.then(settle)
    return queue
  }

  return {
    set(wanted) {
      wantedNow = wanted
      return enqueue()
    },
  }
}
