import { randomBytes } from 'node:crypto'
import type { KubeObject } from '../api/resource.ts'
import { messageOf } from '../process/errors.ts'
import type { Logger } from '../process/log.ts'
import { isNotFound } from './api-error.ts'
import { events } from './builtin.ts'
import type { KubeClient } from './client-types.ts'
import { type Clock, systemClock } from './clock.ts'
import { microTime } from './lease.ts'
import type { ObjectRef } from './resource.ts'
import { createTokenBucket, type TokenBucket } from './token-bucket.ts'

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
  /** Writes what is queued, for at most 1 s, and stops. */
  close(): Promise<void>
}

type Known = { ref: ObjectRef; count: number; seenAt: number }

const noteCharacters = 1_024 // the API server's limit
const queueLength = 1_000
const knownLength = 4_096
const seriesMilliseconds = 6 * 60_000
// An object may have this many events at once, and one more every 30 s.
const burstPerObject = 20
const perSecondPerObject = 1 / 30

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
  const { client, controller, instance, log, clock = systemClock } = deps
  const queue: { regarding: KubeObject; event: NewEvent }[] = []
  const known = new Map<string, Known>()
  const buckets = new Map<string, TokenBucket>()
  const stopping = new AbortController()
  let draining: Promise<void> | undefined
  let dropped = 0

  function mayWrite(uid: string): boolean {
    const bucket = buckets.get(uid) ?? createTokenBucket(clock, perSecondPerObject, burstPerObject)
    remember(buckets, uid, bucket)
    return bucket.tryTake()
  }

  async function write(regarding: KubeObject, event: NewEvent): Promise<void> {
    const options = { signal: stopping.signal, timeoutSeconds: 5 }
    const { namespace = 'default', name, uid = '' } = regarding.metadata
    const now = clock.now()
    const note = event.note.slice(0, noteCharacters)
    const key = JSON.stringify([uid, namespace, name, event.type, event.reason, event.action, note])
    const before = known.get(key)
    if (before !== undefined && now - before.seenAt < seriesMilliseconds) {
      const count = before.count + 1
      remember(known, key, { ...before, count, seenAt: now })
      const series = { count, lastObservedTime: microTime(now) }
      try {
        await client.patch(events, before.ref, { series }, options)
        return
      } catch (thrown) {
        // The API server forgets events after an hour, or sooner when somebody deletes them.
        if (!isNotFound(thrown)) throw thrown
      }
    }
    const ref = { namespace, name: `${name.slice(0, 200)}.${randomBytes(8).toString('hex')}` }
    remember(known, key, { ref, count: 1, seenAt: now })
    const { resourceVersion } = regarding.metadata
    await client.create(
      events,
      {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: ref,
        eventTime: microTime(now),
        type: event.type,
        reason: event.reason.slice(0, 128),
        action: event.action.slice(0, 128),
        note,
        regarding: {
          apiVersion: regarding.apiVersion,
          kind: regarding.kind,
          name,
          ...(regarding.metadata.namespace === undefined ? {} : { namespace }),
          ...(uid === '' ? {} : { uid }),
          ...(resourceVersion === undefined ? {} : { resourceVersion }),
        },
        reportingController: controller,
        reportingInstance: instance.slice(0, 128),
      },
      options,
    )
  }

  async function drain(): Promise<void> {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      try {
        await write(next.regarding, next.event)
      } catch (thrown) {
        // An event is a courtesy; the condition says the same.
        log.warn({ error: messageOf(thrown), reason: next.event.reason }, 'cannot write an event')
        if (stopping.signal.aborted) return
      }
    }
  }

  return {
    record(regarding, event) {
      if (stopping.signal.aborted) return
      if (queue.length >= queueLength || !mayWrite(regarding.metadata.uid ?? regarding.metadata.name)) {
        dropped += 1
        if (Math.log10(dropped) % 1 === 0) log.warn({ dropped }, 'too many events; some were dropped')
        return
      }
      queue.push({ regarding, event })
      draining ??= drain().finally(() => {
        draining = undefined
      })
    },
    async close() {
      const cancel = clock.after(1_000, () => stopping.abort(new DOMException('the recorder closes', 'AbortError')))
      await draining
      cancel()
      stopping.abort(new DOMException('the recorder is closed', 'AbortError'))
    },
  }
}

/** Sets an entry as the newest of a map of bounded length. */
function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= knownLength) return
  for (const oldest of map.keys()) {
    map.delete(oldest)
    return
  }
}
