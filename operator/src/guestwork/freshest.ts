import type { KubeObject } from '../api/resource.ts'
import { isOlder } from '../kube/reflector.ts'
import { keyOf, type Live, type ObjectRef, refOf } from '../kube/resource.ts'
import type { Store } from '../kube/store.ts'

/** A store that also knows what this process wrote itself and has not been told of yet, so that nothing is decided on what is old. */
export type Freshest<T extends KubeObject> = {
  get(ref: ObjectRef): Live<T> | undefined
  list(): Live<T>[]
  /** Takes the answer to a write. */
  wrote(object: Live<T>): void
}

export function createFreshest<T extends KubeObject>(store: Pick<Store<T>, 'get' | 'list'>): Freshest<T> {
  const written = new Map<string, Live<T>>()

  function newer(known: Live<T>): Live<T> {
    const key = keyOf(refOf(known))
    const own = written.get(key)
    if (own === undefined) return known
    if (
      own.metadata.uid === known.metadata.uid &&
      isOlder(known.metadata.resourceVersion, own.metadata.resourceVersion)
    ) {
      return own
    }
    written.delete(key)
    return known
  }

  return {
    get(ref) {
      const known = store.get(ref)
      if (known !== undefined) return newer(known)
      written.delete(keyOf(ref))
      return undefined
    },
    list: () => store.list().map(newer),
    wrote: (object) => void written.set(keyOf(refOf(object)), object),
  }
}
