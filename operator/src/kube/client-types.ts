import type { KubeObject } from '../api/resource.ts'
import type { Live, ObjectRef, Resource } from './resource.ts'

/** Every call ends with the signal, or after `timeoutSeconds` (default 15), whichever comes first. */
export type CallOptions = { readonly signal: AbortSignal; readonly timeoutSeconds?: number }

export type Selectors = { readonly labelSelector?: string; readonly fieldSelector?: string }

export type ListOptions = CallOptions &
  Selectors & {
    /** Left out: all namespaces. */
    readonly namespace?: string
    /**
     * Left out: the newest state, read through a quorum. `'0'`: whatever the API server has in memory. Anything else:
     * at least as new as that.
     */
    readonly resourceVersion?: string
    /** Objects a page; default 500. */
    readonly pageSize?: number
  }

export type ObjectList<T extends KubeObject> = { readonly resourceVersion: string; readonly items: Live<T>[] }

export type WatchOptions = Selectors & {
  readonly signal: AbortSignal
  readonly namespace?: string
  readonly resourceVersion: string
  /** When the server shall end the watch. */
  readonly timeoutSeconds: number
  /** Calls for each bunch of bytes, to tell a quiet watch from a dead one. */
  readonly onActivity?: () => void
}

export type WatchEvent<T extends KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: Live<T> }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }

/** What server-side apply takes: the fields that the caller wants to own, and no others. */
export type Applied<T extends KubeObject> = KubeObject & DeepPartial<Omit<T, keyof KubeObject>>

export type DeepPartial<T> = T extends readonly (infer E)[]
  ? readonly DeepPartial<E>[]
  : T extends object
    ? { readonly [K in keyof T]?: DeepPartial<T[K]> }
    : T

export type ApplyOptions = CallOptions & { readonly fieldManager: string }

export type DeleteOptions = CallOptions & {
  /** Precondition: only this incarnation. */
  readonly uid?: string
  /** Precondition: only this version. */
  readonly resourceVersion?: string
  readonly propagationPolicy?: 'Foreground' | 'Background' | 'Orphan'
  readonly gracePeriodSeconds?: number
}

/**
 * One API server. Objects are JSON as it came, unknown fields included. Every call can throw KubeApiError, and the signal's
 * reason once the caller gave up.
 */
export type KubeClient = {
  /** The cluster's name in logs. */
  readonly cluster: string
  /** The namespace that the access stands for. */
  readonly namespace: string | undefined
  /** Reads one object; undefined when there is none. */
  get<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef, options: CallOptions): Promise<Live<T> | undefined>
  /** Reads all pages of a list. */
  list<T extends KubeObject>(resource: Resource<T>, options: ListOptions): Promise<ObjectList<T>>
  /** Reads changes until the server ends the watch; a server's ERROR event is thrown as KubeApiError. */
  watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>>
  create<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    options: CallOptions & { readonly fieldManager?: string },
  ): Promise<Live<T>>
  /** Posts to a subresource, such as `token` of a service account. */
  createSubresource<Body extends KubeObject>(
    resource: Resource,
    ref: ObjectRef,
    subresource: string,
    body: Body,
    options: CallOptions,
  ): Promise<Body>
  /** Server-side apply with `force`: what the object names is ours. */
  apply<T extends KubeObject>(resource: Resource<T>, object: Applied<T>, options: ApplyOptions): Promise<Live<T>>
  /** Server-side apply of the status subresource. */
  applyStatus<T extends KubeObject>(resource: Resource<T>, object: Applied<T>, options: ApplyOptions): Promise<Live<T>>
  /** JSON merge patch; put `metadata.resourceVersion` in it to make it conditional. */
  patch<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    patch: Readonly<Record<string, unknown>>,
    options: CallOptions & { readonly fieldManager?: string; readonly subresource?: 'status' | 'scale' },
  ): Promise<Live<T>>
  /** Writes the whole object; conflicts unless `metadata.resourceVersion` is still the current one. */
  replace<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    options: CallOptions & { readonly fieldManager?: string },
  ): Promise<Live<T>>
  /** Deletes; false when there was nothing to delete. A failed precondition throws (`isConflict`). */
  delete(resource: Resource, ref: ObjectRef, options: DeleteOptions): Promise<boolean>
  /** Any other call; the answer is parsed JSON, or text where it is none. */
  raw(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    options: CallOptions & { readonly body?: unknown; readonly contentType?: string },
  ): Promise<unknown>
  /** Closes all connections; calls under way fail. */
  close(): Promise<void>
}
