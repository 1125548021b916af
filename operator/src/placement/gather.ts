import type { EgressPolicy } from '../api/egress-policy.ts'
import type { OwnerIdentity } from '../api/identity.ts'
import type { InferenceService } from '../api/inference-service.ts'
import type { DataClass } from '../api/owner-scalars.ts'
import type { Peer } from '../api/peer.ts'
import type { PlacementSpec } from '../api/placement.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import type { Spent } from '../egresspolicy/allow.ts'
import { gpusOf } from '../egresspolicy/cost.ts'
import type { OpenMessage } from '../federation/federation.ts'
import { bundleOfIdentity } from '../federation/peer-bundle.ts'
import type { ModelState } from '../inferenceservice/model-state.ts'
import { conditionOf, isTrue } from '../kube/conditions.ts'
import type { Offer, OwnFacts, PeerFacts, PlacementFacts } from './input.ts'
import { ownerKey } from './owner-share.ts'
import { partState } from './part-state.ts'
import { whyWithheld } from './withheld.ts'

/** What the controller, and `kubectl hansa explain`, found in the cluster. */
export type Surroundings = {
  service: InferenceService
  model: ModelState
  /** Of the namespace, raised by the service. */
  dataClass: DataClass
  namespaceLabels?: Readonly<Record<string, string>> | undefined
  total: number
  own: OwnFacts
  /** RemoteWorks of the service that are not being deleted. */
  works: readonly RemoteWork[]
  policies: readonly EgressPolicy[]
  spent: Spent
  peerOf: (name: string) => Peer | undefined
  identityOf: (name: string) => OwnerIdentity | undefined
  openMessage: OpenMessage
  refusedAt: (peer: string) => PeerFacts['refused']
  troublesOf: (peer: string) => number
  /** Of the workers that other services have at peers, in per mille. */
  shareOf: (peer: string) => number
  now: number
}

const gpuModelLabel = 'nvidia.com/gpu.product'

/** Makes of objects what a decision needs. */
export function gatherFacts(around: Surroundings): PlacementFacts {
  const { spec, metadata } = around.service
  const placement: Partial<PlacementSpec> = spec.placement ?? {}
  const { strategy = 'OwnFirst', minOwners = 1, maxSharePerOwnerPermille = 1000 } = placement
  const { requests, limits } = spec.resources
  const resources = { ...(requests !== undefined && { requests }), ...(limits !== undefined && { limits }) }
  const gpuModel = spec.nodeSelector?.[gpuModelLabel]
  const withheld = whyWithheld(around.model)
  const licence = around.model.servable?.model.spec.licence
  const { maxLatencyMilliseconds, maxPrice } = placement
  return {
    ...{ strategy, minOwners, maxSharePerOwnerPermille, resources },
    total: around.total,
    ...(maxLatencyMilliseconds !== undefined && { maxLatencyMilliseconds }),
    ...(maxPrice !== undefined && { maxPrice }),
    namespace: {
      name: metadata.namespace ?? '',
      ...(around.namespaceLabels !== undefined && { labels: around.namespaceLabels }),
    },
    dataClass: around.dataClass,
    gpus: gpusOf(resources),
    ...(gpuModel !== undefined && { gpuModel }),
    ...(withheld !== undefined && { withheld }),
    ...(licence !== undefined && { licence }),
    policies: around.policies,
    spent: around.spent,
    own: around.own,
    peers: (placement.peers ?? []).flatMap(({ name, maxReplicas }) =>
      maxReplicas === undefined ? [] : [peerFacts(name, maxReplicas, around)],
    ),
  }
}

function peerFacts(name: string, maxReplicas: number, around: Surroundings): PeerFacts {
  const peer = around.peerOf(name)
  const { conditions, links = [] } = peer?.status ?? {}
  const identity = peer === undefined ? undefined : around.identityOf(peer.spec.identityRef.name)
  const connected = isTrue(conditions, 'Connected')
  const roundTrips = links.flatMap(({ roundTripMilliseconds }) => roundTripMilliseconds ?? [])
  const offers = peer === undefined ? undefined : offersOf(peer, identity, around)
  const refused = around.refusedAt(name)
  const paidMicros = paidAt(name, around)
  return {
    name,
    ownerKey: ownerKey(name, peer),
    maxReplicas,
    current: currentAt(name, connected, around),
    state: {
      exists: peer !== undefined && peer.metadata.deletionTimestamp === undefined,
      verified: isTrue(conditions, 'Verified'),
      connected,
      suspended: peer?.spec.suspend === true || identity?.spec.suspend === true,
    },
    ...(paidMicros !== undefined && { paidMicros }),
    ...(roundTrips.length > 0 && { roundTripMilliseconds: Math.min(...roundTrips) }),
    ...(offers !== undefined && { offers }),
    ...(refused !== undefined && { refused }),
    troubles: around.troublesOf(name),
    sharePermille: around.shareOf(name),
  }
}

/** The highest price of the leases that the peer gave for this service. */
function paidAt(peer: string, { works }: Surroundings): number | undefined {
  const leases = works
    .filter(({ spec, status }) => spec.peerRef.name === peer && status?.answer?.decision === 'Granted')
    .flatMap(({ status }) => (status?.lease === undefined ? [] : [status.lease.price?.microsPerGPUHour ?? 0]))
  return leases.length === 0 ? undefined : Math.max(...leases)
}

/** Workers that are asked for there and not refused; while it cannot be reached, those that it granted. */
function currentAt(peer: string, connected: boolean, { works, service, now }: Surroundings): number {
  return works
    .filter(({ spec }) => spec.peerRef.name === peer)
    .filter((work) => {
      const granted = conditionOf(work.status?.conditions, 'Granted')
      const holds = granted?.status === 'True' || granted?.reason === 'LeaseUncertain'
      return (connected || holds) && partState(work, now, service.spec.timeouts.loadSeconds) !== 'Failed'
    })
    .reduce((sum, { spec }) => sum + spec.work.replicas, 0)
}

/** The newest offer of the peer that is its word to us and still holds; undefined where there is none. */
export function offersOf(
  peer: Peer,
  identity: OwnerIdentity | undefined,
  { openMessage, now }: Pick<Surroundings, 'openMessage' | 'now'>,
): readonly Offer[] | undefined {
  if (identity === undefined) return undefined
  const own = bundleOfIdentity(identity, { now })
  if (!own.ok) return undefined
  let newest: { sequence: number; offers: readonly Offer[] } | undefined
  for (const { offer } of peer.status?.links ?? []) {
    if (offer === undefined) continue
    const opened = openMessage('Offer', offer, { peer, ownBundle: own.bundle, now })
    if (opened.ok && opened.message.sequence > (newest?.sequence ?? -1)) newest = opened.message
  }
  return newest?.offers
}
