import type { InferenceService } from '../api/inference-service.ts'
import type { Peer } from '../api/peer.ts'
import { ownName } from '../api/placement.ts'

/** What runs in one place. Places with the same `ownerKey` belong to one owner, who counts once. */
export type OwnerShare = {
  /** Name of the Peer, or `own` for this cluster. */
  owner: string
  ownerKey: string
  /** Workers that exist. */
  replicas: number
  readyReplicas: number
}

/** Who runs how many workers of the service, this cluster first; places without any are left out. */
export function ownerShares(service: InferenceService, peers: readonly Peer[]): OwnerShare[] {
  const { replicas = 0, readyReplicas = 0, owners = [] } = service.status ?? {}
  const byName = new Map(peers.map((peer) => [peer.metadata.name, peer]))
  const shares = [
    { owner: ownName, ownerKey: ownName, replicas, readyReplicas },
    ...owners.map((each) => ({
      owner: each.peer,
      ownerKey: ownerKey(each.peer, byName.get(each.peer)),
      replicas: each.replicas ?? 0,
      readyReplicas: each.readyReplicas ?? 0,
    })),
  ]
  return shares.filter((each) => each.replicas > 0 || each.readyReplicas > 0)
}

/** Names an owner by what cannot be claimed twice: its own id within its trust domain. A Peer that is not joined yet is an owner of its own. */
export function ownerKey(name: string, peer: Peer | undefined): string {
  const ownerId = peer?.spec.ownerId
  const trustDomain = peer?.status?.trustDomain
  return ownerId === undefined || trustDomain === undefined ? `peer ${name}` : `${ownerId}@${trustDomain}`
}
