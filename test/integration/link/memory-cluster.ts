import { randomUUID } from 'node:crypto'
import type { KubeObject } from '@hansa/operator/api/resource.ts'
import { KubeApiError } from '@hansa/operator/kube/api-error.ts'
import type { Applied, KubeClient, WatchEvent } from '@hansa/operator/kube/client-types.ts'
import { keyOf, type Live, type ObjectRef, type Resource } from '@hansa/operator/kube/resource.ts'

export type MemoryCluster = {
  client: KubeClient
  /** While true every call fails, as with the API server down. */
  down: boolean
  /** Writes of the client so far. */
  writes: number
  put<T extends KubeObject>(resource: Resource<T>, object: T): Live<T>
  read<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef): Live<T> | undefined
  all<T extends KubeObject>(resource: Resource<T>): Live<T>[]
  /** Changes an object in place, as its owner would. */
  change<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef, change: (object: Live<T>) => void): void
  remove(resource: Resource, ref: ObjectRef): void
}

type Event = { version: number; plural: string; type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: Live }
type Status = Record<string, unknown>

const mostEvents = 400

/**
 * An API server reduced to what a link asks of it, in this process: list, watch, get, create, and server-side apply of status
 * with conflicts on old versions. The tests of `peer` and `remotework` use real ones.
 */
export function memoryCluster(): MemoryCluster {
  const objects = new Map<string, Map<string, Live>>()
  const applied = new Map<string, Status>()
  const events: Event[] = []
  const waiting = new Set<() => void>()
  let version = 1

  const of = (resource: Resource) => {
    const found = objects.get(resource.plural) ?? new Map<string, Live>()
    objects.set(resource.plural, found)
    return found
  }
  function store<T extends KubeObject>(resource: Resource<T>, object: T): Live<T> {
    const known = of(resource).get(keyOf(object.metadata))
    version += 1
    const live = structuredClone(object) as Live<T>
    live.metadata.uid = known?.metadata.uid ?? object.metadata.uid ?? randomUUID()
    live.metadata.resourceVersion = String(version)
    of(resource).set(keyOf(live.metadata), live)
    publish(resource, known === undefined ? 'ADDED' : 'MODIFIED', live)
    return structuredClone(live)
  }
  function publish(resource: Resource, type: Event['type'], object: Live): void {
    events.push({ version, plural: resource.plural, type, object: structuredClone(object) })
    // Each holds a whole object; who watches here is never far behind.
    if (events.length > mostEvents) events.splice(0, mostEvents / 2)
    for (const wake of [...waiting]) wake()
  }
  function read<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef): Live<T> | undefined {
    // Whoever wrote under that resource gave it its type.
    const found = of(resource).get(keyOf(ref)) as Live<T> | undefined
    return found === undefined ? undefined : structuredClone(found)
  }
  function refuseWhenDown(): void {
    if (cluster.down) throw new KubeApiError({ reason: 'ApiServerUnreachable', message: 'connection refused' })
  }

  function applyStatus<T extends KubeObject>(resource: Resource<T>, desired: Applied<T>, manager: string): Live<T> {
    const live = read(resource, desired.metadata)
    if (live === undefined) throw new KubeApiError({ status: 404, reason: 'NotFound', message: 'no such object' })
    const { resourceVersion, uid } = desired.metadata
    if (
      (resourceVersion !== undefined && resourceVersion !== live.metadata.resourceVersion) ||
      (uid !== undefined && uid !== live.metadata.uid)
    ) {
      throw new KubeApiError({ status: 409, reason: 'Conflict', message: 'the object has been modified' })
    }
    // Every kind that is applied here has a status.
    const holder = live as unknown as { status?: Status }
    const next = (desired as unknown as { status?: Status }).status ?? {}
    const key = `${resource.plural}/${keyOf(desired.metadata)}/${manager}`
    const status = merged(holder.status ?? {}, applied.get(key) ?? {}, next)
    applied.set(key, structuredClone(next))
    if (JSON.stringify(status) === JSON.stringify(holder.status ?? {})) return live
    holder.status = status
    return store(resource, live)
  }

  const cluster: MemoryCluster = {
    down: false,
    writes: 0,
    put: (resource, object) => store(resource, object),
    read,
    all: <T extends KubeObject>(resource: Resource<T>) =>
      [...of(resource).values()].map((each) => structuredClone(each) as Live<T>),
    change(resource, ref, change) {
      const live = read(resource, ref)
      if (live === undefined) throw new Error(`there is no ${resource.kind} ${keyOf(ref)}`)
      change(live)
      store(resource, live)
    },
    remove(resource, ref) {
      const live = read(resource, ref)
      if (live === undefined) return
      version += 1
      live.metadata.resourceVersion = String(version)
      of(resource).delete(keyOf(ref))
      publish(resource, 'DELETED', live)
    },
    client: {
      cluster: 'memory',
      namespace: 'hansa-system',
      list: async <T extends KubeObject>(resource: Resource<T>) => {
        refuseWhenDown()
        return { resourceVersion: String(version), items: cluster.all(resource) }
      },
      watch: <T extends KubeObject>(resource: Resource<T>, options: { signal: AbortSignal; resourceVersion: string }) =>
        watch(resource, options.signal, Number(options.resourceVersion)),
      get: async (resource, ref) => {
        refuseWhenDown()
        return read(resource, ref)
      },
      create: async (resource, object) => {
        refuseWhenDown()
        if (read(resource, object.metadata) !== undefined) {
          throw new KubeApiError({ status: 409, reason: 'AlreadyExists', message: 'it exists' })
        }
        cluster.writes += 1
        return store(resource, object)
      },
      applyStatus: async (resource, desired, { fieldManager }) => {
        refuseWhenDown()
        cluster.writes += 1
        return applyStatus(resource, desired, fieldManager)
      },
      createSubresource: notScripted,
      apply: notScripted,
      patch: notScripted,
      replace: notScripted,
      delete: notScripted,
      raw: notScripted,
      close: async () => undefined,
    },
  }

  async function* watch<T extends KubeObject>(
    resource: Resource<T>,
    signal: AbortSignal,
    from: number,
  ): AsyncGenerator<WatchEvent<T>> {
    for (let seen = from; ; ) {
      refuseWhenDown()
      const next = events.find((event) => event.version > seen && event.plural === resource.plural)
      if (next !== undefined) {
        seen = next.version
        yield { type: next.type, object: structuredClone(next.object) as Live<T> }
        continue
      }
      await new Promise<void>((resolve, reject) => {
        const wake = () => {
          waiting.delete(wake)
          signal.removeEventListener('abort', stop)
          resolve()
        }
        const stop = () => {
          waiting.delete(wake)
          reject(signal.reason)
        }
        if (signal.aborted) return stop()
        waiting.add(wake)
        signal.addEventListener('abort', stop, { once: true })
      })
    }
  }

  return cluster
}

/** Server-side apply of one field manager: lists by their key, all else as a whole. */
export function merged(status: Status, before: Status, next: Status): Status {
  const result = structuredClone(status)
  for (const name of new Set([...Object.keys(before), ...Object.keys(next)])) {
    const [was, now, live] = [before[name], next[name], result[name]]
    if (Array.isArray(was) || Array.isArray(now)) {
      const gone = new Set((Array.isArray(was) ? was : []).map(keyOfEntry))
      const added = Array.isArray(now) ? now : []
      for (const entry of added) gone.add(keyOfEntry(entry))
      const kept = (Array.isArray(live) ? live : []).filter((entry) => !gone.has(keyOfEntry(entry)))
      result[name] = [...kept, ...structuredClone(added)].sort((a, b) => keyOfEntry(a).localeCompare(keyOfEntry(b)))
    } else if (now === undefined) delete result[name]
    else result[name] = structuredClone(now)
  }
  return result
}

function keyOfEntry(entry: unknown): string {
  const { kind, replica, type } = entry as { kind?: string; replica?: string; type?: string }
  return kind ?? replica ?? type ?? JSON.stringify(entry)
}

function notScripted(): Promise<never> {
  return Promise.reject(new Error('the link must not call this'))
}
