import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Work } from '../api/remote-work.ts'
import { canonicalJson } from '../federation/canonical-json.ts'

export const placementManager = 'hansa-placement'

/** Label of a RemoteWork: the Peer that it asks. */
export const peerLabel = 'hansa.dev/peer'

/** Label of a RemoteWork that is one of several parts: its number. */
export const partLabel = 'hansa.dev/part'

/** On each RemoteWork that may have been asked for, so that its end reaches the peer. */
export const remoteWorkFinalizer = 'hansa.dev/remote-work'

/**
 * `<service>-<peer>-<8 hex digits>`: at most 90 characters. The digits are of all that is asked for, and of the service's uid, so
 * that neither another state of the service nor a later service of the same name has the same name. `part` tells parts of one
 * peer's workers apart that ask for the same.
 */
export function remoteWorkName(service: { name: string; uid: string }, peer: string, work: Work, part = 0): string {
  const hash = createHash('sha256')
    .update(canonicalJson([service.uid, peer, work, ...(part === 0 ? [] : [part])]))
    .digest('hex')
  return `${service.name}-${peer}-${hash.slice(0, 8)}`
}

/** Whether two ask for the same, whichever attempt it is. */
export function isSameWork(one: Work, other: Work): boolean {
  return isDeepStrictEqual({ ...one, attempt: 1 }, { ...other, attempt: 1 })
}

/** Whether two ask for workers of the same kind, however many. */
export function isSameKind(one: Work, other: Work): boolean {
  return isSameWork({ ...one, replicas: 1 }, { ...other, replicas: 1 })
}
