import type { KubeObject } from '../api/resource.ts'

declare const objectType: unique symbol

/** Where the API server keeps objects of type `T`. */
export type Resource<T extends KubeObject = KubeObject> = {
  /** API group; empty for the core group. */
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly kind: string
  readonly namespaced: boolean
  /** Never present; ties the resource to its object type. */
  readonly [objectType]?: T
}

/** Names one object; `namespace` is left out for cluster-scoped kinds. */
export type ObjectRef = { readonly namespace?: string; readonly name: string }

/** An object as read from the API server, which always fills in these fields. */
export type Live<T extends KubeObject = KubeObject> = T & {
  metadata: { uid: string; resourceVersion: string }
}

/** Ties a group, version and plural to the type of its objects. */
export function defineResource<T extends KubeObject>(definition: {
  group: string
  version: string
  plural: string
  kind: string
  namespaced: boolean
}): Resource<T> {
  return definition
}

/** The `apiVersion` that objects of a resource carry. */
export function apiVersionOf(resource: Resource): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`
}

/** The reference of an object. */
export function refOf(object: KubeObject): ObjectRef {
  const { namespace, name } = object.metadata
  return namespace === undefined ? { name } : { namespace, name }
}

/** The key of an object in stores and queues: `namespace/name`, or `name` for cluster-scoped kinds. */
export function keyOf(ref: ObjectRef): string {
  return ref.namespace === undefined || ref.namespace === '' ? ref.name : `${ref.namespace}/${ref.name}`
}

/** The reference that a key stands for. */
export function refOfKey(key: string): ObjectRef {
  const slash = key.indexOf('/')
  return slash === -1 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}

/** The URL path of a collection (no name), an object or a subresource; every part is escaped. */
export function pathOf(
  resource: Resource,
  ref: { readonly namespace?: string; readonly name?: string } = {},
  subresource?: string,
): string {
  const root = resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`
  const namespace =
    resource.namespaced && ref.namespace !== undefined && ref.namespace !== ''
      ? `/namespaces/${segment(ref.namespace)}`
      : ''
  const name = ref.name === undefined ? '' : `/${segment(ref.name)}`
  return `${root}${namespace}/${resource.plural}${name}${subresource === undefined ? '' : `/${subresource}`}`
}

// encodeURIComponent leaves dots alone, and URL parsers fold "." and ".." away: a name must never change the path.
function segment(text: string): string {
  if (text === '' || text === '.' || text === '..') throw new TypeError(`"${text}" is no name of an object`)
  return encodeURIComponent(text)
}
