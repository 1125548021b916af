import type { EgressPolicy } from '../api/egress-policy.ts'
import type { DataClass } from '../api/owner-scalars.ts'
import type { Strategy } from '../api/placement.ts'
import type { Work } from '../api/remote-work.ts'
import type { Spent } from '../egresspolicy/allow.ts'
import type { MessageOf } from '../federation/messages.ts'

export type Offer = MessageOf<'Offer'>['offers'][number]

/** Why an owner, or an offer of it, is left out: one CamelCase word, and a sentence with numbers. */
export type Rejection = { reason: string; message: string }

/** All that the plan for one service is made from. Equal inputs give equal plans. */
export type PlacementFacts = {
  strategy: Strategy
  /** Workers that are wanted in all, fixed counts at peers apart. */
  total: number
  minOwners: number
  maxSharePerOwnerPermille: number
  maxLatencyMilliseconds?: number
  maxPrice?: { currency: string; microsPerGPUHour: number }
  namespace: { name: string; labels?: Readonly<Record<string, string>> }
  dataClass: DataClass
  /** Of one worker. */
  resources: Work['resources']
  /** GPUs of one worker; 0 where it needs none. */
  gpus: number
  /** The GPU that the service's nodeSelector asks for. */
  gpuModel?: string
  /** Why the Model can be handed to nobody. */
  withheld?: Rejection
  licence?: string
  policies: readonly EgressPolicy[]
  /** What other work may cost; asked only where there is a price. */
  spent: Spent
  own: OwnFacts
  peers: readonly PeerFacts[]
}

/** This cluster. */
export type OwnFacts = {
  /** Workers that are here now. */
  current: number
  /** Workers of this service that it has room for, those that are here among them. */
  room: number
  maxReplicas: number
}

/** A peer of `spec.placement.peers` with maxReplicas. */
export type PeerFacts = {
  name: string
  /** See `ownerKey`; undefined while there is no such Peer. */
  ownerKey: string
  maxReplicas: number
  /** Workers that it has granted. */
  current: number
  state: { exists: boolean; verified: boolean; connected: boolean; suspended: boolean }
  /** Price of a GPU hour of what it has granted, in millionths; undefined where it has granted nothing. */
  paidMicros?: number
  /** Measured round trip, in bands; undefined where it is not known. */
  roundTripMilliseconds?: number
  /** What it says that it might give; undefined where it says nothing. */
  offers?: readonly Offer[]
  /** It refused more than `atMost` workers a while ago, and is not asked for more yet. */
  refused?: { atMost: number; reasons: readonly string[] }
  /** How often work there was refused, ended by the peer or lost in the last hour. */
  troubles: number
  /** Its share of the workers that other services of ours have at peers, in per mille. */
  sharePermille: number
}
