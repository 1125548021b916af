import type { Registry } from 'prom-client'
import type { KubeObject } from '../api/resource.ts'
import type { Logger } from '../process/log.ts'
import type { KubeClient, Selectors } from './client-types.ts'
import type { Clock } from './clock.ts'
import type { Live, Resource } from './resource.ts'
import type { Indexes, Store } from './store.ts'

export type ReflectorDeps = {
  readonly client: KubeClient
  readonly log: Logger
  readonly clock?: Clock
  /** Between 0 and 1, for jitter. */
  readonly random?: () => number
  readonly registry?: Registry
}

export type ReflectorOptions<T extends KubeObject, Index extends string> = Selectors & {
  readonly resource: Resource<T>
  /** Left out: all namespaces. */
  readonly namespace?: string
  readonly indexes?: Indexes<T, Index>
  /** Makes an object smaller before it is kept; default `keepOwnFields`. */
  readonly transform?: (object: Live<T>) => Live<T>
}

export type Reflector<T extends KubeObject, Index extends string = never> = {
  readonly store: Store<T, Index>
  /** Ends list and watch for good; the store stays readable. */
  stop(): Promise<void>
}

/** Keeps a store in step with the API server, by list and watch, for as long as the signal lets it; it never gives up. */
export function startReflector<T extends KubeObject, Index extends string = never>(
  deps: ReflectorDeps,
  options: ReflectorOptions<T, Index>,
  signal: AbortSignal,
): Reflector<T, Index> {
  void [deps, options, signal]
  throw new Error('not written yet')
}
