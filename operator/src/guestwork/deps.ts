import type { Counter } from 'prom-client'
import type { GuestWork } from '../api/guest-work.ts'
import type { OwnerIdentity } from '../api/identity.ts'
import type { InferenceService } from '../api/inference-service.ts'
import type { Model } from '../api/model.ts'
import type { Peer } from '../api/peer.ts'
import type { OpenMessage, Seal } from '../federation/federation.ts'
import type { ExecutorMemory } from '../grant/executor.ts'
import type { Applier } from '../kube/apply-if-changed.ts'
import type { Namespace } from '../kube/builtin.ts'
import type { KubeClient } from '../kube/client-types.ts'
import type { Clock } from '../kube/clock.ts'
import type { EventRecorder } from '../kube/events.ts'
import type { Store } from '../kube/store.ts'
import type { PolicyStores } from '../sharepolicy/controller.ts'
import type { Freshest } from './freshest.ts'
import type { IdleWatch } from './idle-watch.ts'
import type { OpenedRequest } from './open-request.ts'
import type { PodTimes } from './pod-times.ts'

/** What this process remembers of guest work, by uid; all of it may be lost. */
export type Memory = {
  readonly leases: Map<string, ExecutorMemory>
  readonly requests: Map<string, OpenedRequest>
  /** The lease in the ConfigMap as we last applied it. */
  readonly leaseTexts: Map<string, string>
  /** When the answer that waits for delivery was signed, by the monotonic clock. */
  readonly answered: Map<string, number>
}

export type GuestWorkDeps = Omit<PolicyStores, 'peers'> & {
  client: KubeClient
  applier: Applier
  events: EventRecorder
  clock: Clock
  openMessage: OpenMessage
  seal: Seal
  /** A fresh nonce: 32 random bytes, base64url. */
  nonce: () => string
  systemNamespace: string
  guestWorks: Freshest<GuestWork>
  peers: Freshest<Peer>
  identities: Pick<Store<OwnerIdentity>, 'get'>
  namespaces: Pick<Store<Namespace>, 'get'>
  services: Pick<Store<InferenceService>, 'get' | 'list'>
  models: Pick<Store<Model>, 'get' | 'list'>
  times: PodTimes
  idle: Pick<IdleWatch, 'waitingFor' | 'mustEnd'>
  memory: Memory
  gpuSeconds: Pick<Counter<'peer'>, 'inc'>
}

export function createMemory(): Memory {
  return { leases: new Map(), requests: new Map(), leaseTexts: new Map(), answered: new Map() }
}
