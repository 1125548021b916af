/** What went wrong at peers in the last hour: refusals that were no want of room, ends and losses of work. */
export type Troubles = {
  note(peer: string, id: string, at: number): void
  of(peer: string, now: number): number
}

const hourMs = 3_600_000
/** More say nothing new. */
const mostPerPeer = 64

/** Remembers troubles by what they are known by, so that each counts once. Lost with the process, and found again in RemoteWorks. */
export function createTroubles(): Troubles {
  const peers = new Map<string, Map<string, number>>()
  return {
    note(peer, id, at) {
      const known = peers.get(peer) ?? new Map<string, number>()
      if (known.has(id)) return
      known.set(id, at)
      const [oldest] = known.keys()
      if (known.size > mostPerPeer && oldest !== undefined) known.delete(oldest)
      peers.set(peer, known)
    },
    of: (peer, now) => [...(peers.get(peer)?.values() ?? [])].filter((at) => now - at < hourMs).length,
  }
}
