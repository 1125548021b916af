import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '@hansa/operator/process/errors.ts'
import { isStatus, type KubeClient } from './kube-client.ts'
import type { KubeObject } from './kube-types.ts'

export interface ReflectorHandlers<T extends KubeObject> {
  /** The whole list, after the first list and after each relist: what is not in it is gone. */
  replace(items: readonly T[]): void
  upsert(item: T): void
  remove(item: T): void
}

export interface ReflectorOptions<T extends KubeObject> {
  readonly client: KubeClient
  /** Of the collection, as in `/api/v1/pods`. */
  readonly path: string
  readonly fieldSelector?: string
  readonly handlers: ReflectorHandlers<T>
  readonly signal: AbortSignal
  readonly log?: (line: string) => void
}

interface ObjectList<T> {
  readonly metadata: { readonly resourceVersion?: string }
  readonly items: readonly T[]
}

const shortestRetryMilliseconds = 200
const longestRetryMilliseconds = 2_000
const watchSeconds = 300

/** Keeps handlers told of a collection until the signal fires; lists anew after every error. */
export async function runReflector<T extends KubeObject>(options: ReflectorOptions<T>): Promise<void> {
  const { client, path, handlers, signal, log = () => undefined } = options
  const selector = options.fieldSelector ? `fieldSelector=${encodeURIComponent(options.fieldSelector)}&` : ''
  let version: string | undefined
  let retryMilliseconds = shortestRetryMilliseconds
  while (!signal.aborted) {
    try {
      if (version === undefined) {
        const list = await client.request<ObjectList<T>>({ path: `${path}?${selector}`, signal })
        handlers.replace(list.items)
        version = list.metadata.resourceVersion ?? '0'
      }
      const began = Date.now()
      const query = `${selector}watch=1&allowWatchBookmarks=true&timeoutSeconds=${watchSeconds}`
      for await (const event of client.watch<T>(`${path}?${query}&resourceVersion=${version}`, signal)) {
        if (event.type === 'ERROR') {
          version = undefined
          break
        }
        version = event.object.metadata.resourceVersion ?? version
        if (event.type === 'DELETED') handlers.remove(event.object)
        else if (event.type !== 'BOOKMARK') handlers.upsert(event.object)
      }
      if (Date.now() - began > 10_000) retryMilliseconds = shortestRetryMilliseconds
    } catch (error) {
      if (signal.aborted) return
      if (!isStatus(error, 0)) log(`${path}: ${messageOf(error)}`)
      version = undefined
    }
    await sleep(retryMilliseconds * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined)
    retryMilliseconds = Math.min(retryMilliseconds * 2, longestRetryMilliseconds)
  }
}
