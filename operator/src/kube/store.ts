import type { KubeObject } from '../api/resource.ts'
import { keyOf, type Live, type ObjectRef } from './resource.ts'

/** What changed: no `previous` for a new object, no `current` for one that is gone. */
export type Change<T extends KubeObject> = {
  readonly key: string
  readonly previous: Live<T> | undefined
  readonly current: Live<T> | undefined
}

/** Objects as the reflector last saw them; they are shared, so never change one. */
export type Store<T extends KubeObject, Index extends string = never> = {
  /** Resolves when the first list is in. */
  readonly synced: Promise<void>
  readonly isSynced: () => boolean
  get(ref: ObjectRef): Live<T> | undefined
  /** All objects, or those of one namespace. */
  list(namespace?: string): Live<T>[]
  /** The objects for which the index function gave that value. */
  byIndex(index: Index, value: string): Live<T>[]
  readonly size: number
  /** Calls back after each change; returns the way to stop. */
  subscribe(listener: (change: Change<T>) => void): () => void
}

export type Indexes<T extends KubeObject, Index extends string> = Readonly<
  Record<Index, (object: Live<T>) => readonly string[]>
>

/** The reflector's side of a store. */
export type StoreWriter<T extends KubeObject> = {
  put(object: Live<T>): void
  remove(ref: ObjectRef): void
  /** Makes the store hold these objects and no others. */
  replace(objects: readonly Live<T>[]): void
}

/** Makes an empty store. `onError` gets what an index function or a listener throws; neither can stop the store. */
export function createStore<T extends KubeObject, Index extends string = never>(
  indexes: Indexes<T, Index>,
  onError: (thrown: unknown) => void,
): { store: Store<T, Index>; writer: StoreWriter<T> } {
  const objects = new Map<string, Live<T>>()
  const byNamespace = new Map<string, Set<string>>()
  const byValue = new Map<string, Map<string, Set<string>>>()
  // Object.entries loses the key type that the type parameter gives.
  const indexFunctions = Object.entries(indexes) as [Index, (object: Live<T>) => readonly string[]][]
  for (const [name] of indexFunctions) byValue.set(name, new Map())
  const listeners = new Set<(change: Change<T>) => void>()
  const { promise: synced, resolve: markSynced } = Promise.withResolvers<void>()
  let isSynced = false

  function forEachSlot(key: string, object: Live<T>, act: typeof link): void {
    act(byNamespace, object.metadata.namespace ?? '', key)
    for (const [name, valuesOf] of indexFunctions) {
      const index = byValue.get(name)
      if (index === undefined) continue
      try {
        for (const value of valuesOf(object)) act(index, value, key)
      } catch (thrown) {
        onError(thrown)
      }
    }
  }

  function set(key: string, current: Live<T> | undefined): void {
    const previous = objects.get(key)
    if (previous === undefined && current === undefined) return
    if (previous !== undefined) forEachSlot(key, previous, unlink)
    if (current === undefined) objects.delete(key)
    else {
      objects.set(key, current)
      forEachSlot(key, current, link)
    }
    for (const listener of listeners) {
      try {
        listener({ key, previous, current })
      } catch (thrown) {
        onError(thrown)
      }
    }
  }

  function pick(keys: ReadonlySet<string> | undefined): Live<T>[] {
    const found: Live<T>[] = []
    for (const key of keys ?? []) {
      const object = objects.get(key)
      if (object !== undefined) found.push(object)
    }
    return found
  }

  const store: Store<T, Index> = {
    synced,
    isSynced: () => isSynced,
    get: (ref) => objects.get(keyOf(ref)),
    list: (namespace) => (namespace === undefined ? [...objects.values()] : pick(byNamespace.get(namespace))),
    byIndex: (index, value) => pick(byValue.get(index)?.get(value)),
    get size() {
      return objects.size
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  const writer: StoreWriter<T> = {
    put: (object) => set(keyOf(object.metadata), object),
    remove: (ref) => set(keyOf(ref), undefined),
    replace(next) {
      const gone = new Set(objects.keys())
      for (const object of next) {
        const key = keyOf(object.metadata)
        gone.delete(key)
        if (!isSame(objects.get(key), object)) set(key, object)
      }
      for (const key of gone) set(key, undefined)
      isSynced = true
      markSynced()
    },
  }
  return { store, writer }
}

function isSame(known: Live | undefined, object: Live): boolean {
  return (
    known?.metadata.uid === object.metadata.uid && known.metadata.resourceVersion === object.metadata.resourceVersion
  )
}

function link(index: Map<string, Set<string>>, value: string, key: string): void {
  const keys = index.get(value)
  if (keys === undefined) index.set(value, new Set([key]))
  else keys.add(key)
}

function unlink(index: Map<string, Set<string>>, value: string, key: string): void {
  const keys = index.get(value)
  keys?.delete(key)
  if (keys?.size === 0) index.delete(value)
}
