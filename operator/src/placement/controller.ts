import type { InferenceService, InferenceServiceStatus } from '../api/inference-service.ts'
import type { Model } from '../api/model.ts'
import type { RemoteWork, Work } from '../api/remote-work.ts'
import { apiVersion } from '../api/resource.ts'
import { classOfNamespace, raisedClass } from '../egresspolicy/data-class.ts'
import { modelState } from '../inferenceservice/model-state.ts'
import { serviceLabel } from '../inferenceservice/names.ts'
import { isAlreadyExists } from '../kube/api-error.ts'
import type { Applier } from '../kube/apply-if-changed.ts'
import type { Namespace } from '../kube/builtin.ts'
import type { KubeClient } from '../kube/client-types.ts'
import type { Clock } from '../kube/clock.ts'
import { conditionOf, setConditions } from '../kube/conditions.ts'
import type { ReconcileContext, ReconcileResult } from '../kube/controller.ts'
import type { EventRecorder } from '../kube/events.ts'
import { inferenceServices, remoteWorks } from '../kube/hansa-resources.ts'
import { type Live, refOf, refOfKey } from '../kube/resource.ts'
import type { Store } from '../kube/store.ts'
import { peerLabel, placementManager, remoteWorkFinalizer, remoteWorkName } from './names.ts'
import { ownerStatus, peersReady } from './owners.ts'
import { type Placement, planPlacement } from './plan.ts'

export type PlacementDeps = {
  client: KubeClient
  applier: Applier
  events: EventRecorder
  clock: Clock
  services: Pick<Store<InferenceService>, 'get'>
  models: Pick<Store<Model>, 'get'>
  namespaces: Pick<Store<Namespace>, 'get'>
  /** Index `service` holds `namespace/name` of the InferenceService. */
  remoteWorks: Pick<Store<RemoteWork, 'service'>, 'byIndex'>
}

/** Keeps a RemoteWork for each peer that one InferenceService names, and says in its status how they stand; key `namespace/name`. */
export async function reconcilePlacement(
  key: string,
  { signal }: ReconcileContext,
  deps: PlacementDeps,
): Promise<ReconcileResult> {
  const service = deps.services.get(refOfKey(key))
  // RemoteWorks carry an owner reference: Kubernetes' garbage collector deletes them, and their finalizer ends the work.
  if (service === undefined || service.metadata.deletionTimestamp !== undefined) return {}
  const { namespace = '', uid } = service.metadata
  const works = deps.remoteWorks
    .byIndex('service', key)
    .filter(({ metadata }) => metadata.ownerReferences?.some((owner) => owner.uid === uid))
  if (service.spec.placement === undefined && works.length === 0 && service.status?.owners === undefined) return {}

  const { name } = service.spec.modelRef
  const labels = deps.namespaces.get({ name: namespace })?.metadata.labels
  const placement = planPlacement({
    service,
    model: modelState(name, deps.models.get({ namespace, name })),
    dataClass: raisedClass(classOfNamespace(labels), service.spec.dataClass),
    works,
    now: deps.clock.now(),
  })
  for (const { peer, work } of placement.create) await create(service, peer, work, deps, signal)
  for (const work of placement.remove) {
    const { uid: workUid } = work.metadata
    await deps.client.delete(remoteWorks, refOf(work), {
      signal,
      propagationPolicy: 'Background',
      ...(workUid !== undefined && { uid: workUid }),
    })
  }
  await writeStatus(service, placement, deps, signal)
  const { afterSeconds } = placement
  return afterSeconds === undefined ? {} : { afterSeconds }
}

async function create(
  service: Live<InferenceService>,
  peer: string,
  work: Work,
  { client }: PlacementDeps,
  signal: AbortSignal,
): Promise<void> {
  const { namespace = '', name, uid } = service.metadata
  const remoteWork: RemoteWork = {
    apiVersion,
    kind: 'RemoteWork',
    metadata: {
      namespace,
      name: remoteWorkName({ name, uid }, peer, work),
      labels: { 'app.kubernetes.io/managed-by': 'hansa', [serviceLabel]: name, [peerLabel]: peer },
      ownerReferences: [
        { apiVersion, kind: 'InferenceService', name, uid, controller: true, blockOwnerDeletion: true },
      ],
      // From the first moment, so that no request can outlive its object unnoticed.
      finalizers: [remoteWorkFinalizer],
    },
    spec: { peerRef: { name: peer }, work },
  }
  try {
    await client.create(remoteWorks, remoteWork, { signal, fieldManager: placementManager })
  } catch (error) {
    // The store has not seen our own yet; names differ where what is asked for differs.
    if (!isAlreadyExists(error)) throw error
  }
}

async function writeStatus(
  service: Live<InferenceService>,
  placement: Placement,
  deps: PlacementDeps,
  signal: AbortSignal,
): Promise<void> {
  const owners = placement.owners.map(ownerStatus)
  const condition = peersReady(owners)
  const before = conditionOf(service.status?.conditions, 'PeersReady')
  const { generation = 0 } = service.metadata
  // Only what is ours: the other fields of the status are those of the controller of the workers here.
  const status: InferenceServiceStatus = {
    ...(owners.length > 0 && { owners }),
    ...(condition !== undefined && {
      conditions: setConditions(
        before === undefined ? [] : [before],
        [{ ...condition, observedGeneration: generation }],
        new Date(deps.clock.now()),
      ),
    }),
  }
  const desired = { apiVersion, kind: 'InferenceService', metadata: refOf(service), status }
  const written = await deps.applier.applyStatus(inferenceServices, desired, service, { signal })
  // What was not written is no transition: the store may be behind what was said already.
  if (written === service || condition === undefined) return
  if (before?.status === condition.status && before.reason === condition.reason) return
  deps.events.record(service, {
    type: condition.status === 'False' && condition.reason !== 'PeerProgressing' ? 'Warning' : 'Normal',
    reason: condition.reason,
    action: 'Place',
    note: condition.message,
  })
}
