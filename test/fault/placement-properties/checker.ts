import { isDeepStrictEqual } from 'node:util'
import type { DataClass } from '@hansa/operator/api/owner-scalars.ts'
import type { Offer, PeerFacts, PlacementFacts } from '@hansa/operator/placement/input.ts'
import { countsOf, type Decide, settled } from './facts.ts'

// Written from the documentation alone: it uses none of the planner's filters nor its way to distribute.

type Placed = { name: string; ownerKey: string; current: number; value: number; most: number; replicas: number }

/** What is wrong with the decision about the facts; undefined where nothing is. */
export type Check = (facts: PlacementFacts, decide: Decide) => string | undefined

const ranks: readonly DataClass[] = ['Public', 'Internal', 'Confidential', 'Restricted']
const bands = { None: 0, Few: 3, Some: 15, Many: 1000 }

/** The most workers that the spec and all policies let the peer have. */
function allowance(peer: PeerFacts, facts: PlacementFacts): number {
  const { exists, verified, connected, suspended } = peer.state
  if (!exists || !verified || suspended || (!connected && peer.current === 0)) return 0
  if (facts.withheld !== undefined || peer.refused?.reasons.includes('LicenceNotAllowed')) return 0
  if ((peer.roundTripMilliseconds ?? 0) > (facts.maxLatencyMilliseconds ?? Number.POSITIVE_INFINITY)) return 0
  const money = Math.max(0, ...facts.policies.map((policy) => allowedBy(policy.spec, peer, facts)))
  const offered = peer.offers?.filter((each) => fits(each, facts))
  const more =
    offered === undefined
      ? 1000
      : facts.gpus === 0
        ? Math.sign(offered.length) * 1000
        : offered.reduce((sum, { free }) => sum + Math.trunc(bands[free] / facts.gpus), 0)
  return Math.min(peer.maxReplicas, money, peer.current + more, peer.refused?.atMost ?? 1000)
}

function allowedBy(spec: PlacementFacts['policies'][number]['spec'], peer: PeerFacts, facts: PlacementFacts): number {
  const isAbout = spec.peers.some(({ name }) => name === peer.name) && spec.workloads.includes('Serve')
  if (spec.suspend || !isAbout || !spec.dataClasses.includes(facts.dataClass)) return 0
  if (ranks.indexOf(facts.dataClass) < ranks.indexOf('Internal')) return 0
  const each = facts.gpus * 24 * (facts.maxPrice?.microsPerGPUHour ?? 0)
  if (each === 0) return 1000
  return spec.spendLimit === undefined ? 0 : Math.trunc(spec.spendLimit.microsPerDay / each)
}

function fits(offer: Offer, { gpus, gpuModel, dataClass, maxPrice }: PlacementFacts): boolean {
  const asks = gpus === 0 ? 0 : (offer.price?.microsPerGPUHour ?? 0)
  return (
    offer.workloads.includes('Serve') &&
    offer.dataClasses.includes(dataClass) &&
    offer.opens === undefined &&
    (gpus === 0 || gpuModel === undefined || gpuModel === offer.gpuModel) &&
    asks <= (maxPrice?.microsPerGPUHour ?? 0)
  )
}

function placesOf(facts: PlacementFacts, decide: Decide): Placed[] {
  const most = new Map<string, number>([
    ['own', Math.min(facts.own.room, facts.own.maxReplicas)],
    ...facts.peers.map((peer): [string, number] => [peer.name, allowance(peer, facts)]),
  ])
  return decide(facts).candidates.map(({ name, current, value, replicas }) => ({
    ...{ name, current, value, replicas },
    ownerKey: facts.peers.find((each) => each.name === name)?.ownerKey ?? 'own',
    most: most.get(name) ?? 0,
  }))
}

export const withinPolicy: Check = (facts, decide) => {
  const bad = placesOf(facts, decide).find(({ replicas, most }) => replicas > most)
  return bad === undefined ? undefined : `${bad.name} gets ${bad.replicas} workers and may have ${bad.most}`
}

export const saysWhy: Check = (facts, decide) => {
  const { candidates } = decide(facts)
  const mute = candidates.find(({ name, rejections }) => {
    const peer = facts.peers.find((each) => each.name === name)
    const most = peer === undefined ? Math.min(facts.own.room, facts.own.maxReplicas) : allowance(peer, facts)
    return most > 0 !== (rejections.length === 0) || rejections.some(({ reason }) => !/^[A-Z][A-Za-z]+$/.test(reason))
  })
  return mute === undefined ? undefined : `${mute.name} has the wrong reasons: ${JSON.stringify(mute.rejections)}`
}

/** In order of weight: workers placed, owners up to the fewest wanted, workers over the largest share, and what all are worth. */
export function worthOf(facts: PlacementFacts, places: readonly Placed[], counts: readonly number[]): number[] {
  const owners = new Map<string, number>()
  let value = 0
  places.forEach((place, i) => {
    const count = counts[i] ?? 0
    if (count > 0) owners.set(place.ownerKey, (owners.get(place.ownerKey) ?? 0) + count)
    value += count * place.value + Math.min(count, place.current) * 150 * 1001
  })
  const all = [...owners.values()]
  const share = Math.max(1, Math.floor((facts.total * facts.maxSharePerOwnerPermille) / 1000))
  if (facts.strategy === 'MostResilient') for (const n of all) value -= ((n * (n - 1)) / 2) * 1000 * 1001
  return [
    counts.reduce((sum, each) => sum + each, 0),
    Math.min(facts.minOwners, owners.size),
    -all.reduce((sum, each) => sum + Math.max(0, each - share), 0),
    value,
  ]
}

export const bestOfAll: Check = (facts, decide) => {
  const places = placesOf(facts, decide)
  const found = worthOf(
    facts,
    places,
    places.map(({ replicas }) => replicas),
  )
  for (const counts of distributions(
    places.map(({ most }) => most),
    facts.total,
  )) {
    const other = worthOf(facts, places, counts)
    if (isMore(other, found)) {
      return `${JSON.stringify(counts)} is worth ${other}, but ${JSON.stringify(places.map(({ replicas }) => replicas))} only ${found}`
    }
  }
  return undefined
}

function isMore(one: readonly number[], other: readonly number[]): boolean {
  const i = one.findIndex((each, at) => each !== other[at])
  return i >= 0 && (one[i] ?? 0) > (other[i] ?? 0)
}

function* distributions(most: readonly number[], total: number): Generator<number[]> {
  const [first, ...rest] = most
  if (first === undefined) {
    yield []
    return
  }
  for (let count = 0; count <= Math.min(first, total); count++) {
    for (const others of distributions(rest, total - count)) yield [count, ...others]
  }
}

export const sameTwice: Check = (facts, decide) => {
  const one = decide(facts)
  const other = decide({ ...structured(facts), peers: facts.peers.toReversed(), policies: facts.policies.toReversed() })
  const bare = ({ candidates, unplaced }: typeof one) => ({
    unplaced,
    candidates: candidates.map(({ name, replicas, score, most }) => ({ name, replicas, score, most })),
  })
  return isDeepStrictEqual(bare(one), bare(other)) ? undefined : 'the same facts in another order gave another plan'
}

function structured(facts: PlacementFacts): PlacementFacts {
  const { spent, ...rest } = facts
  return { ...structuredClone(rest), spent }
}

/** With Cheapest who asks for less never gets less. */
export const monotone: Check = (given, decide) => {
  const facts: PlacementFacts = { ...given, strategy: 'Cheapest' }
  const before = decide(facts)
  for (const peer of facts.peers) {
    const cheaper = peer.offers?.map((each) =>
      each.price === undefined
        ? each
        : { ...each, price: { ...each.price, microsPerGPUHour: Math.floor(each.price.microsPerGPUHour / 2) } },
    )
    if (cheaper === undefined) continue
    const changed = facts.peers.map((each) => (each === peer ? { ...peer, offers: cheaper } : each))
    const was = before.candidates.find(({ name }) => name === peer.name)?.replicas ?? 0
    const is = decide({ ...facts, peers: changed }).candidates.find(({ name }) => name === peer.name)?.replicas ?? 0
    if (is < was) return `${peer.name} halved its prices and gets ${is} workers instead of ${was}`
  }
  return undefined
}

/** Once carried out a plan stays; one worker more or less moves no other; a change of prices by a tenth moves nobody to and fro. */
export const fewMoves: Check = (given, decide) => {
  const facts = settled({ ...given, minOwners: 1, maxSharePerOwnerPermille: 1000 }, decide)
  if (facts === undefined) return 'plans never come to rest'
  const before = countsOf(facts)
  const moved = (changed: PlacementFacts): { lost: number; won: number } => {
    let [lost, won] = [0, 0]
    for (const { name, replicas } of decide(changed).candidates) {
      lost += Math.max(0, (before[name] ?? 0) - replicas)
      won += Math.max(0, replicas - (before[name] ?? 0))
    }
    return { lost, won }
  }
  const placed = Object.values(before).reduce((sum, each) => sum + each, 0)
  const more = moved({ ...facts, total: facts.total + 1 })
  if (more.lost > 0 || more.won > 1) return `one more worker moves others: ${JSON.stringify([before, more])}`
  if (placed === facts.total && facts.total > 0) {
    const less = moved({ ...facts, total: facts.total - 1 })
    if (less.lost !== 1 || less.won > 0) return `one worker less moves others: ${JSON.stringify([before, less])}`
  }
  // Prices that rise by a tenth may move workers, but nobody comes back when they fall again.
  const dear = facts.peers.map((each) =>
    each.offers === undefined ? each : { ...each, offers: each.offers.map(dearer) },
  )
  const after = settled({ ...facts, peers: dear }, decide)
  if (after === undefined) return 'plans never come to rest after a change of prices'
  const there = countsOf(after)
  const again = after.peers.map((each, i) => ({ ...each, ...offersOf(facts.peers[i]) }))
  const back = decide({ ...after, peers: again }).candidates.find(({ name, replicas }) => {
    const hadLost = (there[name] ?? 0) < (before[name] ?? 0)
    return hadLost && replicas > (there[name] ?? 0)
  })
  return back === undefined
    ? undefined
    : `prices that rose by a tenth and fell again move workers to and fro at ${back.name}: ${JSON.stringify([before, there])}`
}

function offersOf(peer: PeerFacts | undefined): Pick<PeerFacts, 'offers'> {
  return peer?.offers === undefined ? {} : { offers: peer.offers }
}

function dearer(offer: Offer): Offer {
  const { price } = offer
  // What fits before fits afterwards, and what does not does not.
  if (price === undefined || price.microsPerGPUHour > 900 || price.microsPerGPUHour === 0) return offer
  return { ...offer, price: { ...price, microsPerGPUHour: Math.floor(price.microsPerGPUHour * 1.1) } }
}

/** The order of scores is that of what the strategy says. */
export const ranksRight: Check = (facts, decide) => {
  const best = { OwnFirst: ownRank, Cheapest: priceRank, Fastest: latencyRank, MostResilient: troubleRank }[
    facts.strategy
  ]
  const allowed = decide(facts).candidates.filter(({ rejections }) => rejections.length === 0)
  for (const one of allowed) {
    for (const other of allowed) {
      const [a, b] = [best(one.name, facts), best(other.name, facts)]
      if (a < b && one.score < other.score) return `${one.name} (${a}) has a lower score than ${other.name} (${b})`
    }
  }
  return undefined
}

const ownRank = (name: string) => (name === 'own' ? 0 : 1)

function priceRank(name: string, facts: PlacementFacts): number {
  const most = facts.maxPrice?.microsPerGPUHour ?? 0
  const peer = facts.peers.find((each) => each.name === name)
  if (peer === undefined || facts.gpus === 0) return 0
  if (peer.offers === undefined) return most
  const prices = peer.offers.filter((each) => fits(each, facts)).map(({ price }) => price?.microsPerGPUHour ?? 0)
  return Math.min(most, ...prices)
}

function latencyRank(name: string, facts: PlacementFacts): number {
  const peer = facts.peers.find((each) => each.name === name)
  return peer === undefined ? 0 : (peer.roundTripMilliseconds ?? 200)
}

/** Whose only fault is that it failed more often; others cannot be compared. */
function troubleRank(name: string, facts: PlacementFacts): number {
  const peer = facts.peers.find((each) => each.name === name)
  const alike = facts.peers.every((each) => each.roundTripMilliseconds === 1) && facts.maxPrice === undefined
  return peer === undefined || !alike ? 0 : peer.troubles
}

export const checks: Readonly<Record<string, Check>> = {
  'within policy': withinPolicy,
  'says why': saysWhy,
  'best of all': bestOfAll,
  'ranks right': ranksRight,
  'same twice': sameTwice,
  'monotone in price': monotone,
  'few moves': fewMoves,
}
