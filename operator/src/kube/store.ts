import type { KubeObject } from '../api/resource.ts'
import type { Live, ObjectRef } from './resource.ts'

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
