import type { OwnerIdentity } from '../../api/identity.ts'
import type { Peer } from '../../api/peer.ts'
import { type PairingVerdict, pairingOf } from '../../federation/pairing.ts'
import { bundleOfPeer } from '../../federation/peer-bundle.ts'
import type { FindPairing, Pairing } from '../../federation/peer-tls.ts'
import type { Clock } from '../../kube/clock.ts'
import type { Store } from '../../kube/store.ts'

/** Our certificates as a gateway, one for each Identity. */
export type OwnCertificates = {
  of(identityName: string): { keyPem: string; certPem: string } | undefined
  /** Calls back when there is another; returns the way to stop. */
  onChanged(listener: () => void): () => void
}

/** A peer as the data path sees it now. */
export type DataPeer = {
  readonly name: string
  readonly pairing: Pairing
  /** Where and how we dial it; undefined: it dials us. */
  readonly dial: { address: string; proxy: Peer['spec']['proxy'] } | undefined
}

export type DataPeers = {
  get(name: string): DataPeer | undefined
  list(): Iterable<DataPeer>
  find: FindPairing
  /** Why there is nothing to be done with a Peer; for logs and answers. */
  problemOf(name: string): string
  subscribe(listener: () => void): () => void
  stop(): void
}

const gatherMs = 50
// Bundles and authorities end by time too, and nobody tells.
const lookAgainMs = 10_000

/** Follows Peers, Identities and certificates, and keeps a pairing for each peer that may be dealt with now. */
export function followDataPeers(deps: {
  peers: Store<Peer>
  identities: Store<OwnerIdentity>
  certificates: OwnCertificates
  clock: Clock
}): DataPeers {
  const { peers, identities, certificates, clock } = deps
  const known = new Map<string, DataPeer>()
  const problems = new Map<string, string>()
  const listeners = new Set<() => void>()
  let gathering: (() => void) | undefined
  let cancelTick = clock.after(lookAgainMs, tick)

  function look(): void {
    gathering = undefined
    known.clear()
    problems.clear()
    for (const peer of peers.list()) {
      const { name } = peer.metadata
      const verdict = judge(peer)
      if (verdict.ok) known.set(name, { name, pairing: verdict.pairing, dial: dialOf(peer) })
      else problems.set(name, verdict.message)
    }
    for (const listener of listeners) listener()
  }

  function judge(peer: Peer): PairingVerdict {
    const { name } = peer.spec.identityRef
    const credentials = certificates.of(name)
    const identity = identities.get({ name })
    return pairingOf(peer, identity, { process: 'gateway', credentials, now: () => clock.now() })
  }

  function dialOf(peer: Peer): DataPeer['dial'] {
    const { dial, proxy } = peer.spec
    if (dial === 'Them') return undefined
    const bundle = bundleOfPeer(peer, { now: clock.now() })
    const address = peer.spec.dataAddress ?? (bundle.ok ? bundle.bundle.dataAddress : undefined)
    return address === undefined ? undefined : { address, proxy }
  }

  function tick(): void {
    cancelTick = clock.after(lookAgainMs, tick)
    look()
  }

  const changed = () => {
    gathering ??= clock.after(gatherMs, look)
  }
  const stops = [peers.subscribe(changed), identities.subscribe(changed), certificates.onChanged(changed)]
  changed()
  return {
    get: (name) => known.get(name),
    list: () => known.values(),
    find: (peerTrustDomain, ownTrustDomain) => {
      for (const { pairing } of known.values()) {
        if (pairing.peerTrustDomain === peerTrustDomain && pairing.ownTrustDomain === ownTrustDomain) return pairing
      }
      return undefined
    },
    problemOf: (name) => problems.get(name) ?? `there is no Peer ${name}`,
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    stop: () => {
      cancelTick()
      gathering?.()
      for (const stop of stops) stop()
    },
  }
}
