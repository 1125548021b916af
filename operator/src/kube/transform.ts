import type { KubeObject, ObjectMeta } from '../api/resource.ts'
import type { Live } from './resource.ts'

/** One entry of `metadata.managedFields`. */
export type ManagedFields = {
  manager?: string
  operation?: string
  apiVersion?: string
  fieldsType?: string
  fieldsV1?: unknown
  subresource?: string
}

type WithManagedFields = ObjectMeta & { managedFields?: ManagedFields[] }

const ownManager = /^hansa-/
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration'

/** Drops what makes cached objects large and what no controller of ours reads: others' managed fields, kubectl's copy. */
export function keepOwnFields<T extends KubeObject>(object: Live<T>): Live<T> {
  return slim(object, (fields) => fields.filter(({ manager }) => manager !== undefined && ownManager.test(manager)))
}

/** Drops all managed fields: for objects that are only read. */
export function dropManagedFields<T extends KubeObject>(object: Live<T>): Live<T> {
  return slim(object, () => [])
}

function slim<T extends KubeObject>(object: Live<T>, keep: (fields: ManagedFields[]) => ManagedFields[]): Live<T> {
  const metadata: WithManagedFields = object.metadata
  const kept = keep(metadata.managedFields ?? [])
  if (kept.length > 0) metadata.managedFields = kept
  else delete metadata.managedFields
  if (metadata.annotations !== undefined) delete metadata.annotations[lastApplied]
  return object
}
