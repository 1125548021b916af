import type { GuestWork } from '../../api/guest-work.ts'
import type { RemoteWork } from '../../api/remote-work.ts'
import { isConflict } from '../../kube/api-error.ts'
import type { Applied, KubeClient } from '../../kube/client-types.ts'
import { type Live, type Resource, refOf } from '../../kube/resource.ts'

export const fieldManager = 'hansa-link'
const conflicts = 8
const seconds = 10

export type Work = RemoteWork | GuestWork

/** The parts of a status that the link writes. */
export type OwnParts<T extends Work> = Pick<NonNullable<T['status']>, 'inbox' | 'delivered'>

/**
 * Changes the link's parts of a status. Each write is of all of them and on the version that it was made from, so that replicas
 * of the link never take each other's entries away. `change` answers undefined when there is nothing to do. Returns false when
 * the object is gone or another one.
 */
export async function writeOwnParts<T extends Work>(
  client: KubeClient,
  resource: Resource<T>,
  known: Live<T>,
  change: (parts: OwnParts<T>) => OwnParts<T> | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  let live: Live<T> | undefined = known
  for (let attempt = 0; ; attempt++) {
    if (live?.metadata.uid !== known.metadata.uid) return false
    const { inbox, delivered } = live.status ?? {}
    const changed = change({ inbox, delivered } as OwnParts<T>)
    if (changed === undefined) return true
    const { name, namespace, uid, resourceVersion } = live.metadata
    const applied = {
      apiVersion: live.apiVersion,
      kind: live.kind,
      metadata: { name, ...(namespace !== undefined && { namespace }), uid, resourceVersion },
      status: {
        ...(changed.inbox !== undefined && { inbox: changed.inbox }),
        ...(changed.delivered !== undefined && { delivered: changed.delivered }),
      },
    }
    try {
      // The two lists are parts of the status of either kind; the compiler does not see it for a generic one.
      await client.applyStatus(resource, applied as unknown as Applied<T>, {
        fieldManager,
        signal,
        timeoutSeconds: seconds,
      })
      return true
    } catch (error) {
      if (!isConflict(error) || attempt >= conflicts) throw error
      live = await client.get(resource, refOf(live), { signal, timeoutSeconds: seconds })
    }
  }
}

type Entry = { kind: string; sequence: number }

/** The list with this entry in the place of the one of its kind. */
export function withEntry<E extends Entry>(entries: readonly E[] | undefined, entry: E): E[] {
  return [...(entries ?? []).filter(({ kind }) => kind !== entry.kind), entry]
}

/** The entry of a kind. */
export function entryOf<E extends Entry>(entries: readonly E[] | undefined, kind: string): E | undefined {
  return entries?.find((entry) => entry.kind === kind)
}
