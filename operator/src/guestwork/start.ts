import { randomBytes } from 'node:crypto'
import type { Registry } from 'prom-client'
import type { GuestWork } from '../api/guest-work.ts'
import type { OwnerIdentity } from '../api/identity.ts'
import type { InferenceService } from '../api/inference-service.ts'
import type { Model } from '../api/model.ts'
import type { Peer } from '../api/peer.ts'
import type { SharePolicyStatus } from '../api/share-policy.ts'
import type { OpenMessage, Seal } from '../federation/federation.ts'
import { createApplier } from '../kube/apply-if-changed.ts'
import type { Namespace, NetworkPolicy } from '../kube/builtin.ts'
import type { KubeClient } from '../kube/client-types.ts'
import type { Clock } from '../kube/clock.ts'
import { conditionOf } from '../kube/conditions.ts'
import { type Controller, source, startController } from '../kube/controller.ts'
import type { EventRecorder } from '../kube/events.ts'
import { keyOf, refOf } from '../kube/resource.ts'
import type { Store } from '../kube/store.ts'
import type { Logger } from '../process/log.ts'
import { fieldManager as policyManager, reconcileSharePolicy } from '../sharepolicy/controller.ts'
import { createBell, ringOn } from './bell.ts'
import { reconcileConfirmation } from './confirm.ts'
import { reconcileGuestWork } from './controller.ts'
import { createMemory, type GuestWorkDeps } from './deps.ts'
import { createFreshest } from './freshest.ts'
import { watchIdle } from './idle-watch.ts'
import { guestWorkOf } from './locals.ts'
import { gpuCounter } from './metrics.ts'
import { fieldManager } from './names.ts'
import { reconcileOffer } from './offer-controller.ts'
import { serviceKey } from './own-status.ts'
import { followPods } from './pod-times.ts'
import type { GuestStores } from './stores.ts'
import { holds } from './usage.ts'

export type GuestsDeps = {
  client: KubeClient
  log: Logger
  registry: Registry
  clock: Clock
  events: EventRecorder
  openMessage: OpenMessage
  seal: Seal
  /** Our question of this start: 32 random bytes, base64url; the Peer controller asks it. */
  asks: string
  systemNamespace: string
}

/** All stores that sharing looks at. */
export type SharingStores = GuestStores & {
  peers: Store<Peer, 'identity'>
  identities: Store<OwnerIdentity>
  namespaces: Store<Namespace>
  services: Store<InferenceService, 'model'>
  models: Store<Model>
  policies: Store<NetworkPolicy>
}

/** Runs what lets peers use this cluster: SharePolicies, guest work, offers. */
export function startGuests(deps: GuestsDeps, stores: SharingStores, signal: AbortSignal): Controller[] {
  const { client, log, registry, clock } = deps
  const { allPods, nodes } = stores
  const guestWorks = createFreshest(stores.guestWorks)
  const peers = createFreshest(stores.peers)
  const times = followPods(allPods, clock, signal)
  const keys = (works: readonly GuestWork[]) => works.map((work) => keyOf(refOf(work)))
  const idle = watchIdle(
    {
      nodes,
      pods: allPods,
      times,
      clock,
      leases: () => guestWorks.list().flatMap((work) => leaseOf(work, stores)),
      guestServices: () => new Set(guestWorks.list().flatMap((work) => serviceKey(work) ?? [])),
    },
    signal,
  )
  const { sharePolicies, priorityClasses, quotas, identities, namespaces, services, models, policies } = stores
  const everything = [stores.guestWorks, sharePolicies, priorityClasses, quotas, nodes, allPods]
  const others = [stores.peers, identities, namespaces, services, models, policies]
  const synced = Promise.all([...everything, ...others].map((store) => store.synced))
  const bell = createBell(
    clock,
    () => keys(guestWorks.list().filter(({ status }) => status?.decision !== 'Ended')),
    synced,
  )
  ringOn(bell, stores.sharePolicies, ({ metadata, status }) => `${metadata.generation} ${readyWord(status)}`)
  ringOn(bell, stores.priorityClasses, ({ value }) => String(value))
  ringOn(bell, stores.namespaces, ({ metadata }) => JSON.stringify([metadata.labels, metadata.deletionTimestamp]))
  ringOn(bell, stores.identities, ({ metadata, status }) => `${metadata.generation} ${status?.bundle?.sequence}`)
  // Room that comes free may be another's.
  ringOn(bell, stores.guestWorks, (work) => `${work.status?.decision === 'Granted'} ${holds(work)}`)
  signal.addEventListener(
    'abort',
    idle.subscribe(() => bell.ring()),
    { once: true },
  )

  const guestDeps: GuestWorkDeps = {
    ...deps,
    ...stores,
    guestWorks,
    peers,
    times,
    idle,
    applier: createApplier(client, fieldManager),
    nonce: () => randomBytes(32).toString('base64url'),
    memory: createMemory(),
    gpuSeconds: gpuCounter(registry, signal),
  }
  forgetTheGone(stores.guestWorks, guestDeps, signal)
  const own = (object: Parameters<typeof refOf>[0]) => [keyOf(refOf(object))]
  const ofPeer = (peer: Peer) => keys(guestWorks.list().filter(({ spec }) => spec.peerRef.name === peer.metadata.name))
  const byService = (service: string | undefined) =>
    keys(guestWorks.list().filter((work) => serviceKey(work) === service))
  const start = (name: string, options: Pick<Parameters<typeof startController>[1], 'sources' | 'reconcile'>) =>
    startController({ log, registry, clock }, { name, concurrency: 1, ...options }, signal)
  const all = { synced: bell.synced, subscribe: () => () => undefined }

  const policyDeps = {
    ...deps,
    ...stores,
    applier: createApplier(client, policyManager),
  }
  const everyPolicy = () => stores.sharePolicies.list().map(({ metadata }) => metadata.name)
  const everyPeer = () => stores.peers.list().map(({ metadata }) => metadata.name)
  const offerDeps = { ...guestDeps, idle, applier: createApplier(client, 'hansa-offer'), offered: new Map() }
  const offerBell = createBell(clock, everyPeer, synced)
  signal.addEventListener(
    'abort',
    idle.subscribe(() => offerBell.ring()),
    { once: true },
  )
  return [
    start('sharepolicy', {
      sources: [
        all,
        source(stores.sharePolicies, everyPolicy),
        source(stores.namespaces, everyPolicy),
        source(stores.priorityClasses, everyPolicy),
        source(stores.peers, everyPolicy),
        source(stores.quotas, everyPolicy),
        source(stores.guestWorks, ({ status }) => (status?.policyName === undefined ? [] : [status.policyName])),
      ],
      reconcile: (key, context) => reconcileSharePolicy(key, context, policyDeps),
    }),
    // One at a time: a quota is shared by all that are decided on.
    start('guestwork', {
      sources: [
        all,
        bell,
        source(stores.guestWorks, own),
        source(stores.services, guestWorkOf),
        source(stores.models, guestWorkOf),
        source(stores.peers, ofPeer),
        source(allPods, ({ metadata }) => {
          const service = metadata.labels?.['hansa.dev/inference-service']
          return service === undefined ? [] : byService(`${metadata.namespace}/${service}`)
        }),
      ],
      reconcile: (key, context) => reconcileGuestWork(key, context, guestDeps),
    }),
    start('confirmation', {
      sources: [all, source(stores.peers, own)],
      reconcile: (key, context) => reconcileConfirmation(key, context, { ...guestDeps, asks: deps.asks }),
    }),
    start('offer', {
      sources: [
        all,
        offerBell,
        source(stores.peers, own),
        source(stores.sharePolicies, everyPeer),
        source(stores.guestWorks, ({ spec }) => [spec.peerRef.name]),
      ],
      reconcile: (key, context) => reconcileOffer(key, context, offerDeps),
    }),
  ]
}

/** A lease that must end when our own pods need its room. */
function leaseOf(work: GuestWork, { sharePolicies }: GuestStores) {
  const service = serviceKey(work)
  const { policyName = '', decision, lease } = work.status ?? {}
  const policy = sharePolicies.get({ name: policyName })
  if (decision !== 'Granted' || service === undefined || policy?.spec.availability !== 'IdleOnly') return []
  return [{ key: keyOf(refOf(work)), service, grantedTime: lease?.grantedTime ?? '' }]
}

function readyWord(status: SharePolicyStatus | undefined): string {
  const ready = conditionOf(status?.conditions, 'Ready')
  return `${status?.observedGeneration} ${ready?.reason}`
}

function forgetTheGone(guestWorks: GuestStores['guestWorks'], { memory }: GuestWorkDeps, signal: AbortSignal): void {
  const stop = guestWorks.subscribe(({ previous, current }) => {
    if (previous === undefined || previous.metadata.uid === current?.metadata.uid) return
    for (const map of Object.values(memory)) map.delete(previous.metadata.uid)
  })
  signal.addEventListener('abort', stop, { once: true })
}
