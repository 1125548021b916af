import type { Peer } from '../api/peer.ts'

/** One owner, with all of its clusters that we know. */
export type Owner<P> = {
  /** Hash of the owner's first root key: what makes an owner one, whatever its clusters call themselves. */
  readonly trustDomain: string
  readonly peers: readonly P[]
}

/**
 * Peers by owner, in the order of trust domains: an owner with several clusters counts once. Peers whose key the operator has not
 * checked yet (invited, not accepted) are nobody and are left out.
 */
export function ownersOf<P extends Pick<Peer, 'status'>>(peers: readonly P[]): Owner<P>[] {
  const owners = new Map<string, P[]>()
  for (const peer of peers) {
    const trustDomain = peer.status?.trustDomain
    if (trustDomain === undefined) continue
    const known = owners.get(trustDomain)
    if (known === undefined) owners.set(trustDomain, [peer])
    else known.push(peer)
  }
  return [...owners].sort(([a], [b]) => (a < b ? -1 : 1)).map(([trustDomain, each]) => ({ trustDomain, peers: each }))
}
