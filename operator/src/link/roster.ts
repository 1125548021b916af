import type { OwnerIdentity } from '../api/identity.ts'
import type { Peer } from '../api/peer.ts'
import type { Clock } from '../kube/clock.ts'
import type { Store } from '../kube/store.ts'
import { messageOf } from '../process/errors.ts'
import type { Logger } from '../process/log.ts'
import { type LinkPeer, linkPeerOf } from './link-peer.ts'

/** Bundles and authorities end by the clock, without any object changing. */
const refreshMilliseconds = 30_000

/** The peers that the link may deal with. */
export type Roster = {
  get(name: string): LinkPeer | undefined
  list(): LinkPeer[]
  /** Those that may open connections with that TLS server name: clusters of one owner. */
  byServerName(name: string): LinkPeer[]
  /** Calls back after a peer was added, changed or removed, and for all every 30 s; returns the way to stop. */
  subscribe(listener: (name: string) => void): () => void
  close(): void
}

/** Follows Peers and Identities. */
export function createRoster(deps: {
  peers: Store<Peer>
  identities: Store<OwnerIdentity>
  clock: Clock
  log: Logger
}): Roster {
  const { peers, identities, clock, log } = deps
  const known = new Map<string, LinkPeer>()
  const listeners = new Set<(name: string) => void>()

  function look(name: string): void {
    const peer = peers.get({ name })
    let found: LinkPeer | undefined
    try {
      found =
        peer === undefined
          ? undefined
          : linkPeerOf(peer, identities.get({ name: peer.spec.identityRef.name }), clock.now())
    } catch (error) {
      log.error({ kind: 'Peer', name, error: messageOf(error) }, 'a peer cannot be understood')
    }
    if (found === undefined) known.delete(name)
    else known.set(name, found)
    for (const listener of listeners) {
      try {
        listener(name)
      } catch (error) {
        log.error({ kind: 'Peer', name, error: messageOf(error) }, 'a change of a peer was not followed')
      }
    }
  }
  const lookAtAll = () => {
    for (const name of new Set([...known.keys(), ...peers.list().map(({ metadata }) => metadata.name)])) look(name)
  }

  const stops = [
    peers.subscribe(({ key }) => look(key)),
    identities.subscribe(({ key }) => {
      for (const { metadata, spec } of peers.list()) if (spec.identityRef.name === key) look(metadata.name)
    }),
  ]
  let stopTimer = clock.after(refreshMilliseconds, refresh)
  function refresh(): void {
    stopTimer = clock.after(refreshMilliseconds, refresh)
    lookAtAll()
  }
  lookAtAll()
  return {
    get: (name) => known.get(name),
    list: () => [...known.values()],
    byServerName: (name) => [...known.values()].filter(({ serverName }) => serverName.inbound === name),
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close: () => {
      stopTimer()
      for (const stop of stops) stop()
      listeners.clear()
    },
  }
}
