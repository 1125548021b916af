import type { OwnerIdentity } from '../api/identity.ts'
import type { Peer } from '../api/peer.ts'
import type { Bundle } from '../federation/messages.ts'
import type { Clock } from '../kube/clock.ts'
import type { Logger } from '../process/log.ts'
import type { Caps } from './claims/caps.ts'
import type { LedgerMetrics } from './metrics.ts'
import type { AskPeer } from './peers/wire.ts'
import type { Retention } from './retain.ts'
import type { SignBody } from './sign-body.ts'
import type { LedgerStore } from './store/store.ts'

/** A Peer with what we are to it. */
export type KnownPeer = { name: string; peer: Peer; identity: string; ownBundle: Bundle }

/** The Peers that can be dealt with now: verified, not frozen, with bundles of both sides. */
export type KnownPeers = {
  get(name: string): KnownPeer | undefined
  list(): KnownPeer[]
  identities(): OwnerIdentity[]
}

export type LedgerTimes = {
  /** How often a claim of a grant is made, when there is something to claim. */
  claimMilliseconds: number
  /** How often claims that were not answered are repeated. */
  deliverMilliseconds: number
  /** How often a checkpoint is made, when the log has grown. */
  checkpointMilliseconds: number
  /** How long a claim waits for what our own gateways have not handed over yet. */
  settleWaitMilliseconds: number
  /** How long a ledger that starts waits for witnesses beyond the first one. */
  restoreWaitMilliseconds: number
}

export type LedgerDeps = {
  store: LedgerStore
  peers: KnownPeers
  /** Has the operator sign in the name of an Identity. */
  sign: (identityName: string, body: SignBody, signal: AbortSignal) => Promise<string>
  ask: AskPeer
  times: LedgerTimes
  caps: Caps
  retention: Retention
  clock: Clock
  log: Logger
  metrics: LedgerMetrics
  signal: AbortSignal
}
