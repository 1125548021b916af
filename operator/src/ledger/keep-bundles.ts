import { bundleOfPeer } from '../federation/peer-bundle.ts'
import type { LedgerDeps } from './deps.ts'

/** Keeps every bundle of ours and of peers, since what their keys signed must stay verifiable after they have changed. */
export function bundleKeeper({ store, peers, clock }: LedgerDeps): () => Promise<void> {
  const kept = new Set<string>()
  return async () => {
    for (const { peer, ownBundle, identity } of peers.list()) {
      const own = peers.identities().find(({ metadata }) => metadata.name === identity)?.status?.bundle?.envelope
      const theirs = bundleOfPeer(peer, { now: clock.now(), ignoreExpiry: true })
      const pairs = [
        { bundle: ownBundle, envelope: own },
        { bundle: theirs.ok ? theirs.bundle : undefined, envelope: peer.status?.bundle?.envelope },
      ]
      for (const { bundle, envelope } of pairs) {
        if (bundle === undefined || envelope === undefined) continue
        const { trustDomain, clusterName, sequence } = bundle
        const key = `${trustDomain} ${clusterName} ${sequence}`
        if (kept.has(key)) continue
        await store.saveBundle(trustDomain, clusterName, sequence, envelope)
        kept.add(key)
      }
    }
  }
}
