import { createHash } from 'node:crypto'
import type { Work } from '../api/remote-work.ts'
import { canonicalJson } from '../federation/canonical-json.ts'

export const placementManager = 'hansa-placement'

/** Label of a RemoteWork: the Peer that it asks. */
export const peerLabel = 'hansa.dev/peer'

/** On each RemoteWork that may have been asked for, so that its end reaches the peer. */
export const remoteWorkFinalizer = 'hansa.dev/remote-work'

/**
 * `<service>-<peer>-<8 hex digits>`: at most 90 characters. The digits are of all that is asked for, and of the service's uid, so
 * that neither another state of the service nor a later service of the same name has the same name.
 */
export function remoteWorkName(service: { name: string; uid: string }, peer: string, work: Work): string {
  const hash = createHash('sha256')
    .update(canonicalJson([service.uid, peer, work]))
    .digest('hex')
  return `${service.name}-${peer}-${hash.slice(0, 8)}`
}

/** Whether two ask for the same, whichever attempt it is. */
export function isSameWork(one: Work, other: Work): boolean {
  return canonicalJson({ ...one, attempt: 1 }) === canonicalJson({ ...other, attempt: 1 })
}
