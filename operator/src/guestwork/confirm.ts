import type { OwnerIdentity } from '../api/identity.ts'
import type { Peer } from '../api/peer.ts'
import type { OpenMessage } from '../federation/federation.ts'
import { bundleOfIdentity } from '../federation/peer-bundle.ts'
import { judgeConfirmation } from '../grant/restore.ts'
import type { KubeClient } from '../kube/client-types.ts'
import type { Clock } from '../kube/clock.ts'
import { isTrue } from '../kube/conditions.ts'
import type { ReconcileContext, ReconcileResult } from '../kube/controller.ts'
import { peers as peerResource } from '../kube/hansa-resources.ts'
import { refOf } from '../kube/resource.ts'
import type { Store } from '../kube/store.ts'
import { wordsOf } from '../peer/words.ts'
import type { Freshest } from './freshest.ts'
import { fieldManager } from './names.ts'

export type ConfirmDeps = {
  client: KubeClient
  clock: Pick<Clock, 'now'>
  openMessage: OpenMessage
  /** Our question of this start. */
  asks: string
  peers: Freshest<Peer>
  identities: Pick<Store<OwnerIdentity>, 'get'>
}

/** Takes a peer's answer to the question of this start: from then on its numbers are safe to give out; key: name of the Peer. */
export async function reconcileConfirmation(
  key: string,
  { signal, log }: ReconcileContext,
  deps: ConfirmDeps,
): Promise<ReconcileResult> {
  const peer = deps.peers.get({ name: key })
  if (peer === undefined || !isTrue(peer.status?.conditions, 'Verified')) return {}
  const identity = deps.identities.get({ name: peer.spec.identityRef.name })
  const now = deps.clock.now()
  const own = identity === undefined ? undefined : bundleOfIdentity(identity, { now })
  if (own === undefined || !own.ok) return {}
  const { confirmation } = wordsOf(peer, deps.openMessage, { ownBundle: own.bundle, now })
  const verdict = judgeConfirmation({ asks: deps.asks, known: peer.status ?? {}, heard: confirmation })
  if (verdict.state !== 'New') return {}
  const { incarnation, epoch, confirmedNonce, restored } = verdict
  if (restored)
    log.warn({ kind: 'Peer', name: key, incarnation }, 'the peer saw more of us than we know: this state was restored')
  const written = await deps.client.patch(
    peerResource,
    refOf(peer),
    { metadata: { resourceVersion: peer.metadata.resourceVersion }, status: { incarnation, epoch, confirmedNonce } },
    { signal, fieldManager, subresource: 'status' },
  )
  deps.peers.wrote(written)
  return {}
}
