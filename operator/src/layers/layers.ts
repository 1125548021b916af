import type { InferenceService } from '../api/inference-service.ts'
import type { Model } from '../api/model.ts'
import type { Peer } from '../api/peer.ts'
import { type Layer, layers, ownName } from '../api/placement.ts'
import { conditionOf, isTrue } from '../kube/conditions.ts'
import { ownerKey, ownerShares } from '../placement/owner-share.ts'
import { type Holder, holdersOf, type Place } from './holders.ts'
import { type Measures, measure, ownersToLeave } from './measure.ts'

/** Who keeps the ledger's last checkpoint beside us, by name of the Peer. */
export type LedgerView = { readonly witnesses: readonly string[] }

export type LayersInput = {
  readonly service: InferenceService
  readonly model: Model | undefined
  readonly peers: readonly Peer[]
  /** Trust domains of our own Identities: a Peer of one of them is another cluster of ours. */
  readonly ownTrustDomains: readonly string[]
  /** Undefined: who asks cannot know it. */
  readonly ledger: LedgerView | undefined
}

export type LayerView = {
  readonly layer: Layer
  /** What is counted. */
  readonly unit: string
  /** What makes it stop. */
  readonly stops: string
  readonly holders: readonly Holder[]
  readonly measures: Measures
  /** Of Compute: fewest owners whose loss leaves fewer ready workers than are wanted now. */
  readonly ownersToFallShort?: number
  /** Why nothing can be said of it now. */
  readonly unknown?: string
}

type Counted = { unit: string; stops: string; places: Place[]; unknown?: string; wanted?: number }

/** Each layer of the service: who has how much of it, and how few owners can stop it. */
export function layersOf(input: LayersInput): LayerView[] {
  const counted: Record<Layer, Counted> = {
    Compute: compute(input),
    Weights: weights(input),
    Control: control(),
    Ledger: ledger(input),
  }
  return layers.map((layer) => {
    const { unit, stops, places, unknown, wanted } = counted[layer]
    const holders = holdersOf(places)
    const amounts = holders.map(({ most }) => most)
    return {
      layer,
      unit,
      stops,
      holders,
      measures: measure(holders, 1),
      ...(wanted !== undefined && { ownersToFallShort: ownersToLeave(amounts, wanted) }),
      ...(unknown !== undefined && { unknown }),
    }
  })
}

function compute(input: LayersInput): Counted {
  const { service, peers } = input
  const { desiredReplicas, owners = [] } = service.status ?? {}
  const leases = new Map(owners.map(({ peer, lease }) => [peer, lease]))
  // What a peer said before its connection was lost may hold or not, long before its lease becomes uncertain.
  const lost = new Set(peers.filter(isLost).map(({ metadata }) => metadata.name))
  const places = ownerShares(service, peers).map(({ owner, ownerKey: key, readyReplicas }) => ({
    owner,
    ownerKey: keyOf(key, owner, input),
    least: lost.has(owner) || leases.get(owner) === 'Uncertain' ? 0 : readyReplicas,
    most: readyReplicas,
  }))
  const wanted = wantedWorkers(service)
  const why = service.spec.suspend
    ? 'the service is suspended'
    : desiredReplicas === undefined && owners.length === 0
      ? 'the operator has not looked at the service yet'
      : wanted === 0
        ? 'no workers are wanted now'
        : undefined
  return {
    unit: 'ready workers',
    stops: 'no ready worker is left',
    places,
    wanted,
    ...(why !== undefined && { unknown: why }),
  }
}

function isLost({ status }: Peer): boolean {
  const connected = conditionOf(status?.conditions, 'Connected')
  return connected !== undefined && connected.status !== 'True'
}

/** Workers that are wanted in all. `desiredReplicas` has those that the strategy places at peers, not the fixed counts. */
export function wantedWorkers({ spec, status }: InferenceService): number {
  const fixed = new Set(
    (spec.placement?.peers ?? []).flatMap(({ name, replicas }) => (replicas === undefined ? [] : name)),
  )
  const atFixed = (status?.owners ?? []).filter(({ peer }) => fixed.has(peer))
  return atFixed.reduce((sum, each) => sum + each.wanted, status?.desiredReplicas ?? 0)
}

/** A peer with a ready worker has every file: its own fetch has checked them. One that was only granted may have some. */
function weights(input: LayersInput): Counted {
  const { service, model, peers } = input
  const verified = conditionOf(model?.status?.conditions, 'Verified')?.status
  const own = verified === 'True' ? 1 : 0
  const places: Place[] = [
    { owner: ownName, ownerKey: ownName, least: own, most: model !== undefined && verified !== 'False' ? 1 : 0 },
  ]
  for (const { peer, readyReplicas = 0, lease } of service.status?.owners ?? []) {
    if (lease !== 'Active' && lease !== 'Uncertain') continue
    places.push({
      owner: peer,
      ownerKey: keyOfPeer(peer, peers, input),
      least: lease === 'Active' && readyReplicas > 0 ? 1 : 0,
      most: 1,
    })
  }
  return { unit: 'clusters with all checked files', stops: 'no cluster with all files is left', places }
}

/** The service is an object in one API server; peers can end their own part alone, which is a loss of Compute. */
function control(): Counted {
  return {
    unit: 'API servers that hold the service',
    stops: 'the API server of this cluster does what its owner wants: change, suspend, delete',
    places: [{ owner: ownName, ownerKey: ownName, least: 1, most: 1 }],
  }
}

function ledger(input: LayersInput): Counted {
  const { peers, ledger: view } = input
  const known = peers
    .filter(({ status }) => isTrue(status?.conditions, 'Verified'))
    .map(({ metadata }) => metadata.name)
  const own = view === undefined ? 0 : 1
  const places: Place[] = [{ owner: ownName, ownerKey: ownName, least: own, most: 1 }]
  for (const peer of known) {
    const cosigned = view?.witnesses.includes(peer)
    const amount = { least: cosigned === true ? 1 : 0, most: cosigned === false ? 0 : 1 }
    places.push({ owner: peer, ownerKey: keyOfPeer(peer, peers, input), ...amount })
  }
  return {
    unit: 'ledgers that know the last checkpoint',
    stops: 'nobody is left who could tell that the record was changed',
    places,
    ...(view === undefined && { unknown: 'who has cosigned is known to the ledger alone' }),
  }
}

function keyOfPeer(name: string, peers: readonly Peer[], input: LayersInput): string {
  const peer = peers.find(({ metadata }) => metadata.name === name)
  return keyOf(ownerKey(name, peer), name, input)
}

/** A Peer in one of our own trust domains is another cluster of ours. */
function keyOf(key: string, name: string, { peers, ownTrustDomains }: LayersInput): string {
  const domain = peers.find(({ metadata }) => metadata.name === name)?.status?.trustDomain
  return domain !== undefined && ownTrustDomains.includes(domain) ? ownName : key
}
