import type { Registry } from 'prom-client'
import type { KubeObject } from '../api/resource.ts'
import type { Logger } from '../process/log.ts'
import type { Clock } from './clock.ts'
import type { Live } from './resource.ts'
import type { Store } from './store.ts'

/** A store to listen to, and the keys that one of its objects concerns. Make it with `source`. */
export type Source = {
  readonly synced: Promise<void>
  /** Calls back with a key for each change, and for all objects that are there already. */
  subscribe(listener: (key: string) => void): () => void
}

/** Every change of an object in the store asks for a reconcile of the keys that its old and its new version map to. */
export function source<T extends KubeObject>(
  store: Pick<Store<T>, 'synced' | 'list' | 'subscribe'>,
  keys: (object: Live<T>) => readonly string[],
): Source {
  void [store, keys]
  throw new Error('not written yet')
}

/** Handed to each reconcile. */
export type ReconcileContext = {
  /** Ends with the controller, or when the deadline has passed. */
  readonly signal: AbortSignal
  /** Carries `reconcileId`. */
  readonly log: Logger
}

/** `afterSeconds`: look again then, even if nothing changes. */
export type ReconcileResult = { readonly afterSeconds?: number }

export type Controller = {
  /** Asks for a reconcile of that key, from outside of the sources. */
  enqueue(key: string): void
  /** Stops taking keys, waits for the running reconciles and ends. */
  stop(): Promise<void>
}

/**
 * Reconciles each key that the sources name, one run a key at a time. Of what a reconcile throws, a HansaError's `retry`
 * decides when the key is tried again; anything else backs off. Runs until the signal is aborted.
 */
export function startController(
  deps: { readonly log: Logger; readonly clock?: Clock; readonly random?: () => number; readonly registry: Registry },
  options: {
    /** Label of metrics and logs. */
    readonly name: string
    readonly sources: readonly Source[]
    readonly reconcile: (key: string, context: ReconcileContext) => Promise<ReconcileResult>
    /** Reconciles at once; default 4. */
    readonly concurrency?: number
    /** Deadline of one reconcile; default 120. */
    readonly timeoutSeconds?: number
  },
  signal: AbortSignal,
): Controller {
  void [deps, options, signal]
  throw new Error('not written yet')
}
