import { createHash } from 'node:crypto'
import type { KubeObject } from '../api/resource.ts'
import type { Applied, CallOptions, KubeClient } from './client-types.ts'
import { isApplied } from './owned-fields.ts'
import { isOlder } from './reflector.ts'
import { keyOf, type Live, type Resource } from './resource.ts'

export type Applier = {
  /**
   * Applies `desired` unless `live`, the object from the store, is already so; returns the object as it is then. So a converged
   * object costs no write. The store must keep our managed fields (`keepOwnFields`, the default).
   */
  apply<T extends KubeObject>(
    resource: Resource<T>,
    desired: Applied<T>,
    live: Live<T> | undefined,
    options: CallOptions,
  ): Promise<Live<T>>
  /** The same for the status subresource. */
  applyStatus<T extends KubeObject>(
    resource: Resource<T>,
    desired: Applied<T>,
    live: Live<T>,
    options: CallOptions,
  ): Promise<Live<T>>
}

type Written = { readonly uid: string; readonly resourceVersion: string; readonly hash: string }

const rememberedWrites = 10_000

/** Makes an applier of one field manager, whose name must begin with `hansa-`. */
export function createApplier(client: KubeClient, fieldManager: string): Applier {
  // Keeps a stale store, or a server that stores something else than it was sent, from causing the same write again.
  const writes = new Map<string, Written>()

  async function unlessDone<T extends KubeObject>(
    resource: Resource<T>,
    desired: Applied<T>,
    live: Live<T> | undefined,
    subresource: 'status' | undefined,
    write: () => Promise<Live<T>>,
  ): Promise<Live<T>> {
    if (live !== undefined && isApplied(desired, live, fieldManager, subresource)) return live
    const key = `${resource.group}/${resource.plural}/${keyOf(desired.metadata)}/${subresource ?? ''}`
    const hash = createHash('sha256').update(JSON.stringify(desired)).digest('base64')
    const before = writes.get(key)
    if (live !== undefined && before?.hash === hash && before.uid === live.metadata.uid) {
      const { resourceVersion } = live.metadata
      if (resourceVersion === before.resourceVersion || isOlder(resourceVersion, before.resourceVersion)) return live
    }
    writes.delete(key)
    const result = await write()
    const { uid, resourceVersion } = result.metadata
    writes.set(key, { uid, resourceVersion, hash })
    if (writes.size > rememberedWrites) forgetOldest()
    return result
  }

  function forgetOldest(): void {
    for (const key of writes.keys()) {
      writes.delete(key)
      return
    }
  }

  return {
    apply: (resource, desired, live, options) =>
      unlessDone(resource, desired, live, undefined, () =>
        client.apply(resource, desired, { ...options, fieldManager }),
      ),
    applyStatus: (resource, desired, live, options) =>
      unlessDone(resource, desired, live, 'status', () =>
        client.applyStatus(resource, desired, { ...options, fieldManager }),
      ),
  }
}
