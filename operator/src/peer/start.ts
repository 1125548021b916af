import type { Registry } from 'prom-client'
import type { OwnerIdentity } from '../api/identity.ts'
import type { Peer } from '../api/peer.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import type { OpenMessage, Seal } from '../federation/federation.ts'
import { createApplier } from '../kube/apply-if-changed.ts'
import type { KubeClient } from '../kube/client-types.ts'
import type { Clock } from '../kube/clock.ts'
import { type Controller, source, startController } from '../kube/controller.ts'
import type { EventRecorder } from '../kube/events.ts'
import type { Pod } from '../kube/pod-types.ts'
import type { Store } from '../kube/store.ts'
import type { Logger } from '../process/log.ts'
import { reconcilePeer } from './controller.ts'

/** Runs the controller of Peers until the signal is aborted. */
export function startPeerController(
  deps: {
    client: KubeClient
    log: Logger
    registry: Registry
    clock: Clock
    events: EventRecorder
    seal: Seal
    openMessage: OpenMessage
    asks: string
    systemNamespace: string
    peers: Store<Peer>
    identities: Store<OwnerIdentity>
    /** Pods of our link. */
    linkPods: Store<Pod>
    remoteWorks: Store<RemoteWork>
  },
  signal: AbortSignal,
): Controller {
  const { client, log, registry, clock, peers, identities, linkPods, remoteWorks } = deps
  const namesOf = (chosen: (peer: Peer) => boolean) =>
    peers
      .list()
      .filter(chosen)
      .map(({ metadata }) => metadata.name)
  const peerDeps = { ...deps, applier: createApplier(client, 'hansa-peer') }
  return startController(
    { log, registry, clock },
    {
      name: 'peer',
      sources: [
        source(peers, ({ metadata }) => [metadata.name]),
        source(identities, ({ metadata: { name } }) => namesOf(({ spec }) => spec.identityRef.name === name)),
        source(linkPods, ({ metadata: { name } }) =>
          namesOf(({ status }) => status?.links?.some(({ replica }) => replica === name) === true),
        ),
        source(remoteWorks, ({ spec }) => [spec.peerRef.name]),
      ],
      reconcile: (key, context) => reconcilePeer(key, context, peerDeps),
      concurrency: 2,
    },
    signal,
  )
}
