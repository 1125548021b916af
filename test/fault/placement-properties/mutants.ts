import type { Decision } from '@hansa/operator/placement/decide.ts'
import type { PeerFacts, PlacementFacts } from '@hansa/operator/placement/input.ts'
import { egressPolicy } from '../../builders/egress-policy.ts'
import { type Decide, decidePlacement } from './facts.ts'

/** A planner that does not see some of the facts as they are. */
const seeing =
  (change: (facts: PlacementFacts) => PlacementFacts): Decide =>
  (facts) =>
    decidePlacement(change(facts))

const seeingPeers = (change: (peer: PeerFacts) => PeerFacts) =>
  seeing((facts) => ({ ...facts, peers: facts.peers.map(change) }))

/** A planner that says something else than it found. */
const saying =
  (change: (decision: Decision, facts: PlacementFacts) => Decision): Decide =>
  (facts) =>
    change(decidePlacement(facts), facts)

let calls = 0

/** Planners with one fault each, all of which the properties must notice. */
export const mutants: Readonly<Record<string, Decide>> = {
  'asks no EgressPolicy': seeing((facts) => {
    const names = facts.peers.map(({ name }) => ({ name }))
    if (names.length === 0) return facts
    const spendLimit = { currency: 'EUR', microsPerDay: 1e12 }
    const dataClasses = [facts.dataClass]
    return { ...facts, policies: [egressPolicy('all', { peers: names, dataClasses, spendLimit })] }
  }),
  'forgets the limit of money': seeing((facts) => ({
    ...facts,
    policies: facts.policies.map((each) =>
      each.spec.spendLimit === undefined
        ? each
        : { ...each, spec: { ...each.spec, spendLimit: { currency: 'EUR', microsPerDay: 1e12 } } },
    ),
  })),
  'hands out what is withheld': seeing(({ withheld: _, ...facts }) => facts),
  'takes any price': seeing((facts) =>
    facts.maxPrice === undefined
      ? facts
      : {
          ...facts,
          peers: facts.peers.map((peer) =>
            peer.offers === undefined
              ? peer
              : {
                  ...peer,
                  offers: peer.offers.map((each) => ({ ...each, price: { currency: 'EUR', microsPerGPUHour: 0 } })),
                },
          ),
        },
  ),
  'takes any GPU': seeing(({ gpuModel: _, ...facts }) => facts),
  'takes any distance': seeing(({ maxLatencyMilliseconds: _, ...facts }) => facts),
  'offers any class': seeingPeers((peer) =>
    peer.offers === undefined
      ? peer
      : { ...peer, offers: peer.offers.map((each) => ({ ...each, dataClasses: ['Internal', 'Confidential'] })) },
  ),
  'works in closed windows': seeingPeers((peer) =>
    peer.offers === undefined ? peer : { ...peer, offers: peer.offers.map(({ opens: _, ...each }) => each) },
  ),
  'asks the frozen': seeingPeers((peer) => ({ ...peer, state: { ...peer.state, suspended: false } })),
  'asks the unverified': seeingPeers((peer) => ({ ...peer, state: { ...peer.state, verified: true } })),
  'asks those who refused': seeingPeers(({ refused: _, ...peer }) => peer),
  'gives a peer one too many': seeingPeers((peer) => ({ ...peer, maxReplicas: peer.maxReplicas + 1 })),
  'overfills this cluster': seeing((facts) => ({ ...facts, own: { ...facts.own, room: facts.own.room + 1 } })),
  'never fills a peer': seeingPeers((peer) => ({ ...peer, maxReplicas: Math.max(1, peer.maxReplicas - 1) })),
  'knows no largest share': seeing((facts) => ({ ...facts, maxSharePerOwnerPermille: 1000 })),
  'knows no fewest owners': seeing((facts) => ({ ...facts, minOwners: 1 })),
  'counts each Peer as an owner': seeing((facts) => ({
    ...facts,
    peers: facts.peers.map((each) => ({ ...each, ownerKey: each.name })),
  })),
  'does not spread': seeing((facts) =>
    facts.strategy === 'MostResilient' ? { ...facts, strategy: 'Fastest' } : facts,
  ),
  'forgets what runs': seeing((facts) => ({
    ...facts,
    own: { ...facts.own, current: 0 },
    peers: facts.peers.map((each) => ({ ...each, current: 0 })),
  })),
  'places one worker too few': seeing((facts) => ({ ...facts, total: Math.max(0, facts.total - 1) })),
  'prefers the dearest': seeingPeers((peer) =>
    peer.offers === undefined
      ? peer
      : {
          ...peer,
          offers: peer.offers.map((each) =>
            each.price === undefined || each.price.microsPerGPUHour > 1000
              ? each
              : { ...each, price: { currency: 'EUR', microsPerGPUHour: 1000 - each.price.microsPerGPUHour } },
          ),
        },
  ),
  'gives no reasons': saying(({ unplaced, candidates }) => ({
    unplaced,
    candidates: candidates.map((each) => ({ ...each, rejections: [] })),
  })),
  'swaps the first two': saying(({ unplaced, candidates: [one, other, ...rest] }) =>
    one === undefined || other === undefined || one.most < other.replicas || other.most < one.replicas
      ? { unplaced, candidates: [one, other, ...rest].filter((each) => each !== undefined) }
      : {
          unplaced,
          candidates: [{ ...one, replicas: other.replicas }, { ...other, replicas: one.replicas }, ...rest],
        },
  ),
  'depends on the hour': seeing((facts) => {
    calls++
    return { ...facts, strategy: calls % 2 === 0 ? 'Cheapest' : 'Fastest' }
  }),
}
