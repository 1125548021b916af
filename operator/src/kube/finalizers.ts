import type { KubeObject } from '../api/resource.ts'
import { isConflict, isNotFound } from './api-error.ts'
import type { CallOptions, KubeClient } from './client-types.ts'
import { type Live, type Resource, refOf } from './resource.ts'

/** Whether the object carries the finalizer. */
export function hasFinalizer(object: KubeObject, finalizer: string): boolean {
  return object.metadata.finalizers?.includes(finalizer) ?? false
}

/** Adds the finalizer, unless it is there, and returns the object as it is then. A stale `object` throws (`isConflict`). */
export async function addFinalizer<T extends KubeObject>(
  client: KubeClient,
  resource: Resource<T>,
  object: Live<T>,
  finalizer: string,
  options: CallOptions,
): Promise<Live<T>> {
  if (hasFinalizer(object, finalizer)) return object
  return patchFinalizers(client, resource, object, [...(object.metadata.finalizers ?? []), finalizer], options)
}

/** Removes the finalizer; an object that is gone already is fine. A stale `object` throws (`isConflict`). */
export async function removeFinalizer<T extends KubeObject>(
  client: KubeClient,
  resource: Resource<T>,
  object: Live<T>,
  finalizer: string,
  options: CallOptions,
): Promise<void> {
  if (!hasFinalizer(object, finalizer)) return
  const rest = object.metadata.finalizers?.filter((each) => each !== finalizer) ?? []
  try {
    await patchFinalizers(client, resource, object, rest, options)
  } catch (thrown) {
    if (isNotFound(thrown)) return
    if (!isConflict(thrown)) throw thrown
    // Another incarnation of that name answers a patch for a gone uid with Conflict, too.
    const now = await client.get(resource, refOf(object), options)
    if (now?.metadata.uid === object.metadata.uid) throw thrown
  }
}

// The list is a set for server-side apply, but a merge patch with the resource version also keeps two writers from losing one
// another's entries, and leaves no field manager behind that would own an empty list.
function patchFinalizers<T extends KubeObject>(
  client: KubeClient,
  resource: Resource<T>,
  object: Live<T>,
  finalizers: readonly string[],
  options: CallOptions,
): Promise<Live<T>> {
  const { uid, resourceVersion } = object.metadata
  return client.patch(resource, refOf(object), { metadata: { uid, resourceVersion, finalizers } }, options)
}
