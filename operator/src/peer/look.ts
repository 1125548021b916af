import type { OwnerIdentity } from '../api/identity.ts'
import type { Peer, PeerStatus } from '../api/peer.ts'
import { peerReasons } from '../api/peer-reasons.ts'
import { acceptBundle } from '../federation/accept-bundle.ts'
import type { BundleVerdict } from '../federation/bundle.ts'
import type { OpenMessage } from '../federation/federation.ts'
import { bundleOfIdentity } from '../federation/peer-bundle.ts'
import { judgeConfirmation } from '../grant/restore.ts'
import { conditionOf, setConditions } from '../kube/conditions.ts'
import type { Pod } from '../kube/pod-types.ts'
import type { Live } from '../kube/resource.ts'
import type { Store } from '../kube/store.ts'
import { introduceOnceMore } from './introduce.ts'
import { judgeJoin } from './judge-join.ts'
import { judgeCompatible, judgeConnected } from './judge-link.ts'
import type { Verdicts } from './summarise.ts'
import { type Words, wordsOf } from './words.ts'

export type LookDeps = {
  openMessage: OpenMessage
  /** Our question of this start: 32 random bytes, base64url. */
  asks: string
  /** Namespace of the release, where pods of our link are. */
  systemNamespace: string
  identities: Pick<Store<OwnerIdentity>, 'get'>
  linkPods: Pick<Store<Pod>, 'get'>
}

export type Seen = {
  identity: OwnerIdentity | undefined
  own: BundleVerdict
  verified: boolean
  /** The Peer with what was found now, by which messages are opened and sealed. */
  known: Live<Peer>
  words: Words
  bundleStatus: Pick<PeerStatus, 'trustDomain' | 'rootKey' | 'bundle'>
  verdicts: Verdicts
}

/** All that can be found out about a Peer without writing anything. */
export function look(peer: Live<Peer>, deps: LookDeps, now: number): Seen {
  const identity = deps.identities.get({ name: peer.spec.identityRef.name })
  const own: BundleVerdict =
    identity === undefined
      ? { ok: false, problem: { reason: 'Malformed', message: 'there is no Identity' } }
      : bundleOfIdentity(identity, { now })
  const acceptance = acceptBundle(peer, now)
  const theirs = introduceOnceMore(peer.spec)
  const join = judgeJoin({ peer, identity, own, theirs, acceptance, now })
  const verified = peerReasons.Verified[join.reason].status === 'True'
  const bundleStatus = bundleStatusOf(peer, acceptance.accepted)
  const condition = {
    type: 'Verified',
    status: peerReasons.Verified[join.reason].status,
    reason: join.reason,
    message: join.message,
  }
  const known: Live<Peer> = {
    ...peer,
    status: {
      ...peer.status,
      ...bundleStatus,
      conditions: setConditions(peer.status?.conditions, [condition], new Date(now)),
    },
  }
  const words: Words =
    verified && own.ok
      ? wordsOf(known, deps.openMessage, { ownBundle: own.bundle, now })
      : { confirmation: undefined, goodbye: undefined }
  const view = {
    peer,
    verified,
    suspendedBy: suspendedBy(peer, identity),
    goodbye: words.goodbye?.state,
    isAlive: (pod: string) => isAlive(deps.linkPods.get({ namespace: deps.systemNamespace, name: pod })),
  }
  const verdicts: Verdicts = {
    Verified: join,
    Connected: judgeConnected(view),
    Compatible: judgeCompatible(view),
    Recovered: verified ? judgeRecovered(peer, words, deps.asks) : { reason: 'NotAsked', message: '' },
  }
  return { identity, own, verified, known, words, bundleStatus, verdicts }
}

function bundleStatusOf(peer: Peer, accepted: ReturnType<typeof acceptBundle>['accepted']): Seen['bundleStatus'] {
  if (accepted === undefined) return {}
  const { bundle, envelope } = accepted
  const { sequence, notAfter, trustDomain, rootKey } = bundle
  return {
    trustDomain,
    // Once it was written it stays, so that no bundle leads back to an older key.
    ...((rootKey !== peer.spec.rootKey || peer.status?.rootKey !== undefined) && { rootKey }),
    bundle: { sequence, notAfter, envelope },
  }
}

function judgeRecovered(peer: Peer, words: Words, asks: string): Verdicts['Recovered'] {
  const verdict = judgeConfirmation({ asks, known: peer.status ?? {}, heard: words.confirmation })
  switch (verdict.state) {
    case 'Confirmed':
      return { reason: 'Confirmed', message: '' }
    case 'AwaitingConfirmation':
      return { reason: 'AwaitingConfirmation', message: '' }
    case 'Implausible':
      return { reason: 'Implausible', message: '' }
    case 'New':
      return { reason: verdict.restored ? 'Restored' : 'AwaitingConfirmation', message: '' }
    default:
      return verdict satisfies never
  }
}

function suspendedBy({ spec }: Peer, identity: OwnerIdentity | undefined): string | undefined {
  if (spec.suspend) return 'spec.suspend is true'
  return identity?.spec.suspend === true ? `Identity ${identity.metadata.name} is frozen` : undefined
}

function isAlive(pod: Pod | undefined): boolean {
  if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) return false
  return conditionOf(pod.status?.conditions, 'Ready')?.status !== 'False'
}
