import { createHash } from 'node:crypto'
import type { ObjectMeta } from '@hansa/operator/api/resource.ts'

/** Changes an object that is being built; builders run them in order. */
export type Modifier<T> = (object: T) => void

/** Metadata as the API server would have set it; the uid follows from kind, namespace and name. */
export function metadata(kind: string, name: string, namespace = 'default'): ObjectMeta {
  const hex = createHash('sha256').update(`${kind}/${namespace}/${name}`).digest('hex')
  const uid = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
  return {
    name,
    namespace,
    uid,
    generation: 1,
    resourceVersion: '1',
    creationTimestamp: '2026-01-01T00:00:00Z',
  }
}

/** The parts of metadata that matter to a test, for any kind. */
export function withMetadata<T extends { metadata: ObjectMeta }>(changes: Partial<ObjectMeta>): Modifier<T> {
  return (object) => {
    object.metadata = { ...object.metadata, ...changes }
  }
}

export function inNamespace<T extends { kind: string; metadata: ObjectMeta }>(namespace: string): Modifier<T> {
  return (object) => {
    const { uid } = metadata(object.kind, object.metadata.name, namespace)
    object.metadata = { ...object.metadata, namespace, ...(uid === undefined ? {} : { uid }) }
  }
}
