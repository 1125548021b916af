import { ownName } from '../api/placement.ts'
import { affordable, againstEgress } from './filter/egress.ts'
import { moreByBand } from './filter/free-band.ts'
import { againstLatency } from './filter/latency.ts'
import { againstModel } from './filter/model.ts'
import { againstOffer } from './filter/offer.ts'
import { againstState } from './filter/peer-state.ts'
import type { Offer, PeerFacts, PlacementFacts, Rejection } from './input.ts'

/** An owner's cluster that may run workers, or why not. */
export type Judged = {
  name: string
  ownerKey: string
  current: number
  /** The most workers that it can be given; 0 where it is left out. */
  most: number
  /** Why it is left out; with `most` above 0 there are none. */
  rejections: Rejection[]
  /** What holds `most` down, for people. */
  limit: string
  /** As granted there, else of the cheapest offer that fits and has room; for a GPU hour, 0 is free. */
  priceMicros: number
  peer?: PeerFacts
}

/** Lets every filter look at every owner. What is left out has all its reasons. */
export function judge(facts: PlacementFacts): Judged[] {
  return [judgeOwn(facts), ...facts.peers.map((peer) => judgePeer(peer, facts))]
}

function judgeOwn({ own }: PlacementFacts): Judged {
  const most = Math.max(0, Math.min(own.room, own.maxReplicas))
  const limit =
    own.maxReplicas <= own.room ? `at most ${own.maxReplicas} by the spec` : `room for ${own.room} on our nodes`
  const rejections = most > 0 ? [] : [{ reason: own.maxReplicas === 0 ? 'NotWantedHere' : 'NoRoom', message: limit }]
  return { name: ownName, ownerKey: ownName, current: own.current, most, rejections, limit, priceMicros: 0 }
}

function judgePeer(peer: PeerFacts, facts: PlacementFacts): Judged {
  const { name, ownerKey, current } = peer
  const fitting = peer.offers?.filter((offer) => againstOffer(offer, facts).length === 0)
  const rejections = [
    ...againstModel(peer, facts),
    ...againstState(peer),
    ...againstLatency(peer, facts),
    ...againstEgress(peer, facts),
    // What is granted goes on as it was granted; an offer is about more.
    ...(fitting?.length === 0 && current === 0 ? againstOffers(peer.offers ?? [], facts) : []),
  ]
  const bounds: [number, string][] = [
    [peer.maxReplicas, `at most ${peer.maxReplicas} by the spec`],
    [
      current + (fitting === undefined ? Number.POSITIVE_INFINITY : moreByBand(fitting, facts)),
      bandWords(fitting, current),
    ],
  ]
  if (peer.refused !== undefined) {
    const { atMost, reasons } = peer.refused
    bounds.push([atMost, `it refused more than ${atMost} a while ago: ${reasons.join(', ') || 'no reason given'}`])
  }
  if (rejections.length === 0) {
    const money = affordable(peer, facts)
    bounds.push([money, `EgressPolicies have money for ${money}`])
  }
  const [most, limit] = bounds.reduce((least, each) => (each[0] < least[0] ? each : least))
  if (rejections.length === 0 && most <= 0) {
    const reason = peer.refused?.atMost === 0 ? 'RefusedLately' : 'NoRoomOffered'
    rejections.push({ reason, message: limit })
  }
  return {
    name,
    ownerKey,
    current,
    most: rejections.length > 0 ? 0 : most,
    rejections,
    limit,
    priceMicros: priceOf(fitting, peer, facts),
    peer,
  }
}

/** Each word once, about the first offer that it is said of. */
function againstOffers(offers: readonly Offer[], facts: PlacementFacts): Rejection[] {
  if (offers.length === 0) return [{ reason: 'NothingOffered', message: 'it offers nothing to us' }]
  const found = new Map<string, Rejection>()
  for (const offer of offers) {
    for (const each of againstOffer(offer, facts)) if (!found.has(each.reason)) found.set(each.reason, each)
  }
  return [...found.values()]
}

function bandWords(fitting: readonly Offer[] | undefined, current: number): string {
  if (fitting === undefined) return 'it does not say what is free'
  return `${current} there, and ${fitting.map(({ free, gpuModel }) => `${free} of ${gpuModel}`).join(', ')} free`
}

/** Who does not say a price may ask for as much as we would pay. */
function priceOf(fitting: readonly Offer[] | undefined, peer: PeerFacts, { maxPrice, gpus }: PlacementFacts): number {
  if (gpus === 0 || maxPrice === undefined) return 0
  if (peer.paidMicros !== undefined) return peer.paidMicros
  if (fitting === undefined) return maxPrice.microsPerGPUHour
  // A policy without a GPU left, or with none at all, may be free; what is asked for comes from the others.
  const withRoom = fitting.filter(({ free }) => free !== 'None')
  const prices = (withRoom.length > 0 ? withRoom : fitting).map(({ price }) => price?.microsPerGPUHour ?? 0)
  return Math.min(maxPrice.microsPerGPUHour, ...prices)
}
