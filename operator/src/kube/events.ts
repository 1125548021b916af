import type { KubeObject } from '../api/resource.ts'
import type { Logger } from '../process/log.ts'
import type { KubeClient } from './client-types.ts'
import type { Clock } from './clock.ts'

export type NewEvent = {
  readonly type: 'Normal' | 'Warning'
  /** The same word as the condition's reason. */
  readonly reason: string
  /** What the controller did or tried, CamelCase, such as `Reconcile`. */
  readonly action: string
  readonly note: string
}

export type EventRecorder = {
  /** Queues an event about an object; never throws, never waits. Record real transitions only. */
  record(regarding: KubeObject, event: NewEvent): void
  /** Writes what is queued, for at most 2 s, and stops. */
  close(): Promise<void>
}

/** Makes a recorder that folds repeats into a series and limits the events per object. */
export function createEventRecorder(deps: {
  readonly client: KubeClient
  /** Such as `hansa.dev/operator`. */
  readonly controller: string
  /** The pod's name. */
  readonly instance: string
  readonly log: Logger
  readonly clock?: Clock
}): EventRecorder {
  void deps
  throw new Error('not written yet')
}
