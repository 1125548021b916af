import { allow } from '../../egresspolicy/allow.ts'
import type { PeerFacts, PlacementFacts, Rejection } from '../input.ts'

/** What our own EgressPolicies have against the first worker at the peer; money for more is `affordable`. */
export function againstEgress(peer: PeerFacts, facts: PlacementFacts): Rejection[] {
  const verdict = asks(peer, facts, 1)
  return verdict.allowed ? [] : verdict.denials
}

/** The most workers there that policies have money for. */
export function affordable(peer: PeerFacts, facts: PlacementFacts): number {
  let [enough, tooMuch] = [0, peer.maxReplicas + 1]
  while (tooMuch - enough > 1) {
    const middle = Math.floor((enough + tooMuch) / 2)
    if (asks(peer, facts, middle).allowed) enough = middle
    else tooMuch = middle
  }
  return enough
}

function asks(peer: PeerFacts, facts: PlacementFacts, replicas: number) {
  const { namespace, dataClass, resources, maxPrice, policies, spent } = facts
  const work = {
    workload: 'Serve' as const,
    dataClass,
    replicas,
    resources,
    ...(maxPrice !== undefined && { maxPrice }),
  }
  return allow({ namespace, peer: peer.name, work }, policies, spent)
}
