import { createHash } from 'node:crypto'
import type { GuestWork } from '../api/guest-work.ts'
import { guestWorkLabel } from '../guestlease/lease.ts'

export const fieldManager = 'hansa-guestwork'

/** Label with the name of the Peer that a guest's objects were made for. */
export const guestPeerLabel = 'hansa.dev/guest-peer'
/** Annotation with `namespace/name` of the GuestWork. */
export const guestWorkAnnotation = 'hansa.dev/guest-work'
export const requestIdAnnotation = 'hansa.dev/request-id'

/** Name of all objects made for guest work: peers choose ids of requests as they like, so the peer is part of it. */
export function localName({ spec }: Pick<GuestWork, 'spec'>): string {
  const hash = createHash('sha256').update(`${spec.peerRef.name}/${spec.requestId}`).digest('hex')
  return `g-${hash.slice(0, 20)}`
}

export function localMetadata(work: GuestWork, targetNamespace: string) {
  const { metadata, spec } = work
  const name = localName(work)
  return {
    name,
    namespace: targetNamespace,
    labels: {
      'app.kubernetes.io/managed-by': 'hansa',
      [guestWorkLabel]: name,
      [guestPeerLabel]: spec.peerRef.name,
    },
    annotations: {
      [guestWorkAnnotation]: `${metadata.namespace ?? ''}/${metadata.name}`,
      [requestIdAnnotation]: spec.requestId,
    },
  }
}

/** Whether an object of that name is ours to change: made by us for this very work. */
export function isOurs(object: { metadata: { labels?: Record<string, string> } }, work: GuestWork): boolean {
  const { labels } = object.metadata
  return labels?.[guestWorkLabel] === localName(work) && labels[guestPeerLabel] === work.spec.peerRef.name
}
