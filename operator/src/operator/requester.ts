import type { Registry } from 'prom-client'
import type { InferenceService } from '../api/inference-service.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import { reconcileEgressPolicy } from '../egresspolicy/controller.ts'
import { createSpending } from '../egresspolicy/spending.ts'
import type { OpenMessage, Seal } from '../federation/federation.ts'
import type { WorkerSettings } from '../inferenceservice/settings.ts'
import { createApplier } from '../kube/apply-if-changed.ts'
import type { KubeClient } from '../kube/client-types.ts'
import type { Clock } from '../kube/clock.ts'
import { type Source, source, startController } from '../kube/controller.ts'
import type { EventRecorder } from '../kube/events.ts'
import { keyOf, type Live, refOf, refOfKey } from '../kube/resource.ts'
import { startLayers } from '../layers/start.ts'
import { reconcilePlacement } from '../placement/controller.ts'
import { isDivided } from '../placement/managed.ts'
import { placementMetrics } from '../placement/metrics.ts'
import { placementManager } from '../placement/names.ts'
import { createOwnRoom } from '../placement/own-room.ts'
import { createRefusals } from '../placement/refusals.ts'
import { createSteadyRoom } from '../placement/steady-room.ts'
import { createTroubles } from '../placement/troubles.ts'
import type { Logger } from '../process/log.ts'
import { reconcileRemoteWork } from '../remotework/controller.ts'
import { fieldManager } from '../remotework/end.ts'
import { waiting } from '../remotework/indexes.ts'
import { refusedCounter } from '../remotework/metrics.ts'
import { ownerOf, type Stores, serviceOf } from './stores.ts'

export type RequesterDeps = {
  client: KubeClient
  stores: Pick<
    Stores,
    | 'services'
    | 'models'
    | 'identities'
    | 'peers'
    | 'egressPolicies'
    | 'remoteWorks'
    | 'namespaces'
    | 'pods'
    | 'nodes'
    | 'allPods'
  >
  settings: WorkerSettings
  events: EventRecorder
  seal: Seal
  openMessage: OpenMessage
  systemNamespace: string
  concurrency: number
  clock: Clock
  log: Logger
  registry: Registry
}

/** Runs the controllers of the asking side: EgressPolicy, placement at peers, layers, RemoteWork. */
export function startRequester(deps: RequesterDeps, signal: AbortSignal): { stop(): Promise<void> } {
  const { client, stores, events, clock, log, registry, concurrency } = deps
  const own = (object: Parameters<typeof refOf>[0]) => [keyOf(refOf(object))]
  const keysOf = (works: readonly Live<RemoteWork>[]) => works.map((each) => keyOf(refOf(each)))
  const worksOfPeer = (name: string) => keysOf(stores.remoteWorks.byIndex('peer', name))
  const common = { client, events, clock }
  const refused = refusedCounter(registry, signal)
  // A peer that is lost, or found again, concerns all that it was asked for; nobody else's work waits for that.
  const peerOfService = (key: string) => stores.remoteWorks.byIndex('service', key)[0]?.spec.peerRef.name ?? ''

  const policyDeps = { ...common, ...stores, applier: createApplier(client, 'hansa-egresspolicy') }
  const policies = startController(
    { log, registry, clock },
    {
      name: 'egresspolicy',
      sources: [
        source(stores.egressPolicies, own),
        source(stores.peers, (peer) =>
          stores.egressPolicies
            .list()
            .filter(({ spec }) => spec.peers.some(({ name }) => name === peer.metadata.name))
            .flatMap(own),
        ),
      ],
      reconcile: (key, context) => reconcileEgressPolicy(key, context, policyDeps),
      concurrency: 2,
    },
    signal,
  )

  const refusals = createRefusals()
  const placementDeps = {
    ...common,
    ...stores,
    applier: createApplier(client, placementManager),
    settings: deps.settings,
    openMessage: deps.openMessage,
    ownRoom: createOwnRoom({ ...stores, clock }),
    refusals,
    troubles: createTroubles(),
    steady: createSteadyRoom(),
    metrics: placementMetrics(registry, () => refusals.size, signal),
  }
  const divided = (services: readonly Live<InferenceService>[]) => services.filter(({ spec }) => isDivided(spec))
  const placements = startController(
    { log, registry, clock },
    {
      name: 'placement',
      sources: [
        source(stores.services, own),
        source(stores.models, (model) => stores.services.byIndex('model', keyOf(refOf(model))).flatMap(own)),
        source(stores.remoteWorks, ownerOf('InferenceService')),
        source(stores.peers, ({ metadata }) => divided(stores.services.byIndex('peer', metadata.name)).flatMap(own)),
        source(stores.egressPolicies, ({ spec }) =>
          spec.peers.flatMap(({ name }) => divided(stores.services.byIndex('peer', name)).flatMap(own)),
        ),
        // Workers here that got a node, became ready, or find no room.
        source(stores.pods, serviceOf),
        source(stores.namespaces, ({ metadata }) =>
          stores.services
            .list(metadata.name)
            .filter(({ spec }) => spec.placement !== undefined)
            .flatMap(own),
        ),
      ],
      reconcile: (key, context) => reconcilePlacement(key, context, placementDeps),
      concurrency,
      groupOf: peerOfService,
    },
    signal,
  )

  const layers = startLayers({ client, events, clock, log, registry }, stores, signal)

  const workDeps = {
    ...common,
    ...stores,
    applier: createApplier(client, fieldManager),
    seal: deps.seal,
    openMessage: deps.openMessage,
    spending: createSpending(() => stores.remoteWorks.list()),
    memories: new Map(),
    startMs: clock.monotonic(),
    systemNamespace: deps.systemNamespace,
    onProblem: (kind: string, { reason }: { reason: string }) => refused.inc({ kind, reason }),
  }
  const works = startController(
    { log, registry, clock },
    {
      name: 'remotework',
      sources: [
        // What one gives back, another that waits for money may take.
        source(stores.remoteWorks, (work) => [...own(work), ...keysOf(stores.remoteWorks.byIndex('money', waiting))]),
        source(stores.peers, ({ metadata }) => worksOfPeer(metadata.name)),
        source(stores.identities, ({ metadata }) =>
          stores.peers.byIndex('identity', metadata.name).flatMap((peer) => worksOfPeer(peer.metadata.name)),
        ),
        source(stores.namespaces, ({ metadata }) => keysOf(stores.remoteWorks.list(metadata.name))),
        source(stores.egressPolicies, ({ spec }) => spec.peers.flatMap(({ name }) => worksOfPeer(name))),
      ] satisfies Source[],
      reconcile: (key, context) => reconcileRemoteWork(key, context, workDeps),
      concurrency,
      groupOf: (key) => stores.remoteWorks.get(refOfKey(key))?.spec.peerRef.name ?? '',
    },
    signal,
  )
  return {
    stop: async () => {
      await Promise.all([policies.stop(), placements.stop(), layers.stop(), works.stop()])
    },
  }
}
