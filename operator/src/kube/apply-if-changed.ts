import type { KubeObject } from '../api/resource.ts'
import type { Applied, CallOptions, KubeClient } from './client-types.ts'
import type { Live, Resource } from './resource.ts'

export type Applier = {
  /**
   * Applies `desired` unless `live`, the object from the store, is already so; returns the object as it is then. So a converged
   * object costs no write.
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

/** Makes an applier of one field manager. */
export function createApplier(client: KubeClient, fieldManager: string): Applier {
  void [client, fieldManager]
  throw new Error('not written yet')
}
