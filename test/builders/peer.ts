import { createHash } from 'node:crypto'
import type { InferenceServiceStatus } from '@hansa/operator/api/inference-service.ts'
import { type Peer, peerSpecSchema } from '@hansa/operator/api/peer.ts'
import { apiVersion } from '@hansa/operator/api/resource.ts'
import { metadata } from './object.ts'

/** A verified Peer of an owner, without keys; `peerOf` in `federation.ts` makes one with real keys. Each owner has one trust domain. */
export function knownPeer(name: string, ownerId: string): Peer {
  const digits = createHash('sha256').update(ownerId).digest('hex')
  const { namespace: _, ...meta } = metadata('Peer', name)
  return {
    apiVersion,
    kind: 'Peer',
    metadata: meta,
    spec: peerSpecSchema.parse({ identityRef: { name: 'main' }, ownerId, clusterName: name }),
    status: {
      trustDomain: digits.replaceAll(/[0189]/g, 'z').slice(0, 52),
      conditions: ['Verified', 'Connected', 'Ready'].map((type) => ({
        type,
        status: 'True' as const,
        reason: type,
        message: '',
        lastTransitionTime: '2026-01-01T00:00:00Z',
      })),
    },
  }
}

/** An entry of `status.owners`: so many ready workers under an active lease. */
export function atPeer(peer: string, readyReplicas: number): NonNullable<InferenceServiceStatus['owners']>[number] {
  return { peer, wanted: readyReplicas, replicas: readyReplicas, readyReplicas, answer: 'Granted', lease: 'Active' }
}
