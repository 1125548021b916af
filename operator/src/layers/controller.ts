import type { OwnerIdentity } from '../api/identity.ts'
import type { InferenceService, InferenceServiceStatus } from '../api/inference-service.ts'
import type { Model } from '../api/model.ts'
import type { Peer } from '../api/peer.ts'
import { apiVersion } from '../api/resource.ts'
import type { Applier } from '../kube/apply-if-changed.ts'
import type { Clock } from '../kube/clock.ts'
import { conditionOf, setConditions } from '../kube/conditions.ts'
import type { ReconcileContext, ReconcileResult } from '../kube/controller.ts'
import type { EventRecorder } from '../kube/events.ts'
import { inferenceServices } from '../kube/hansa-resources.ts'
import { refOf, refOfKey } from '../kube/resource.ts'
import type { Store } from '../kube/store.ts'
import { layersOf } from './layers.ts'
import { judge } from './requirements.ts'

export const layersManager = 'hansa-layers'

export type LayersDeps = {
  applier: Applier
  events: EventRecorder
  clock: Clock
  services: Pick<Store<InferenceService>, 'get'>
  models: Pick<Store<Model>, 'get'>
  peers: Pick<Store<Peer>, 'list'>
  identities: Pick<Store<OwnerIdentity>, 'list'>
}

/** Whether anything is to be said of the service: something is required, or was. */
export function isJudged({ spec, status }: Pick<InferenceService, 'spec' | 'status'>): boolean {
  const required = spec.placement?.requirements ?? []
  return required.length > 0 || conditionOf(status?.conditions, 'Decentralized') !== undefined
}

/** Keeps the condition Decentralized of one InferenceService, as `spec.placement.requirements` wants it; key `namespace/name`. */
export async function reconcileLayers(
  key: string,
  { signal }: ReconcileContext,
  deps: LayersDeps,
): Promise<ReconcileResult> {
  const service = deps.services.get(refOfKey(key))
  if (service === undefined || service.metadata.deletionTimestamp !== undefined || !isJudged(service)) return {}
  const { namespace = '', generation = 0 } = service.metadata
  const views = layersOf({
    service,
    model: deps.models.get({ namespace, name: service.spec.modelRef.name }),
    peers: deps.peers.list(),
    ownTrustDomains: deps.identities.list().flatMap(({ status }) => status?.trustDomain ?? []),
    ledger: undefined,
  })
  const verdict = judge(service.spec.placement?.requirements, views)
  const before = conditionOf(service.status?.conditions, 'Decentralized')
  // The condition alone is ours; without requirements nothing of the status is.
  const status: InferenceServiceStatus =
    verdict === undefined
      ? {}
      : {
          conditions: setConditions(
            before === undefined ? [] : [before],
            [{ ...verdict, observedGeneration: generation }],
            new Date(deps.clock.now()),
          ),
        }
  const desired = { apiVersion, kind: 'InferenceService', metadata: refOf(service), status }
  const written = await deps.applier.applyStatus(inferenceServices, desired, service, { signal })
  if (written === service || verdict === undefined) return {}
  if (before?.status === verdict.status && before.reason === verdict.reason) return {}
  deps.events.record(service, {
    type: verdict.status === 'False' ? 'Warning' : 'Normal',
    reason: verdict.reason,
    action: 'Measure',
    note: verdict.message,
  })
  return {}
}
