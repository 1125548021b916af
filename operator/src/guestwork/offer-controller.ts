import { createHash } from 'node:crypto'
import { apiVersion } from '../api/resource.ts'
import { canonicalJson } from '../federation/canonical-json.ts'
import { nextSequence } from '../grant/sequence.ts'
import type { Applier } from '../kube/apply-if-changed.ts'
import { isTrue } from '../kube/conditions.ts'
import type { ReconcileContext, ReconcileResult } from '../kube/controller.ts'
import { peers as peerResource } from '../kube/hansa-resources.ts'
import type { GuestWorkDeps } from './deps.ts'
import type { IdleWatch } from './idle-watch.ts'
import { type Offers, offersFor } from './offers.ts'
import { policyViews } from './policy-views.ts'
import { usageOf } from './usage.ts'

const lifetimeSeconds = 1_800

export type OfferDeps = Pick<
  GuestWorkDeps,
  | 'clock'
  | 'seal'
  | 'systemNamespace'
  | 'guestWorks'
  | 'peers'
  | 'identities'
  | 'sharePolicies'
  | 'namespaces'
  | 'priorityClasses'
> & {
  /** Of the field manager `hansa-offer`, which owns the offer alone. */
  applier: Applier
  idle: Pick<IdleWatch, 'freeNodes'>
  /** What was offered last to each Peer; may be lost. */
  offered: Map<string, { hash: string; sequence: number; at: number }>
}

/** Keeps the signed offer to one Peer: new when it says something else, and at half its life; key: name of the Peer. */
export async function reconcileOffer(
  key: string,
  { signal }: ReconcileContext,
  deps: OfferDeps,
): Promise<ReconcileResult> {
  const peer = deps.peers.get({ name: key })
  if (peer === undefined) {
    deps.offered.delete(key)
    return {}
  }
  const identity = deps.identities.get({ name: peer.spec.identityRef.name })
  const isOpen = !peer.spec.suspend && identity?.spec.suspend === false && isTrue(peer.status?.conditions, 'Verified')
  const now = deps.clock.now()
  const offers =
    isOpen && peer.spec.seesOffers
      ? offersFor(
          key,
          policyViews(deps, deps.systemNamespace),
          deps.idle.freeNodes(),
          (name) => usageOf(name, deps.guestWorks.list()),
          now,
        )
      : []
  const last = deps.offered.get(key)
  // An empty offer is said only to who got another before.
  if (!isOpen || (offers.length === 0 && peer.status?.statement?.offer === undefined)) return {}
  const hash = hashOf(offers)
  const monotonic = deps.clock.monotonic()
  const dueMs = last === undefined ? 0 : last.at + (lifetimeSeconds * 1_000) / 2 - monotonic
  if (last?.hash === hash && dueMs > 0) return { afterSeconds: dueMs / 1_000 }
  // A restarted operator does not know the last number; one that grows with time is larger.
  const sequence = nextSequence(Math.max(last?.sequence ?? 0, Math.floor(now / 1_000)), {})
  const to = { identityName: peer.spec.identityRef.name, peer, seconds: lifetimeSeconds, signal }
  const offer = await deps.seal('Offer', { sequence, offers }, to)
  const desired = { apiVersion, kind: 'Peer', metadata: { name: key }, status: { statement: { offer } } }
  await deps.applier.applyStatus(peerResource, desired, peer, { signal })
  deps.offered.set(key, { hash, sequence, at: monotonic })
  return { afterSeconds: lifetimeSeconds / 2 }
}

function hashOf(offers: Offers): string {
  return createHash('sha256').update(canonicalJson(offers)).digest('hex')
}
