import type { InferenceService, InferenceServiceStatus } from '../api/inference-service.ts'
import type { Model } from '../api/model.ts'
import { ownName, type PlacementCandidate } from '../api/placement.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import { apiVersion } from '../api/resource.ts'
import { classOfNamespace, raisedClass } from '../egresspolicy/data-class.ts'
import { type ModelState, modelState } from '../inferenceservice/model-state.ts'
import { costCentreLabel, revisionLabel, serviceLabel } from '../inferenceservice/names.ts'
import { revisionOf } from '../inferenceservice/revision.ts'
import type { WorkerSettings } from '../inferenceservice/settings.ts'
import { workerPod } from '../inferenceservice/worker-pod.ts'
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
import { statusCandidates } from './candidates.ts'
import { type DivideDeps, type Divided, divide } from './divide.ts'
import { isDivided } from './managed.ts'
import { partLabel, peerLabel, placementManager, remoteWorkFinalizer, remoteWorkName } from './names.ts'
import { ownerStatus, peersReady } from './owners.ts'
import { type Placement, planPlacement } from './plan.ts'

export type PlacementDeps = Omit<DivideDeps, 'remoteWorks' | 'services'> & {
  client: KubeClient
  applier: Applier
  events: EventRecorder
  clock: Clock
  services: Pick<Store<InferenceService>, 'get' | 'size'>
  models: Pick<Store<Model>, 'get'>
  namespaces: Pick<Store<Namespace>, 'get'>
  /** Index `service` holds `namespace/name` of the InferenceService. */
  remoteWorks: Pick<Store<RemoteWork, 'service' | 'peer'>, 'byIndex' | 'list'>
  /** Of our own workers; what they are told makes their revision. */
  settings: WorkerSettings
}

/** Keeps a RemoteWork for each peer that one InferenceService names, and says in its status how they stand; key `namespace/name`. */
export async function reconcilePlacement(
  key: string,
  { signal }: ReconcileContext,
  deps: PlacementDeps,
): Promise<ReconcileResult> {
  const service = deps.services.get(refOfKey(key))
  if (service === undefined || !isDivided(service.spec)) {
    deps.refusals.forget(`${key} `)
    deps.steady.forget(key)
  }
  // RemoteWorks carry an owner reference: Kubernetes' garbage collector deletes them, and their finalizer ends the work.
  if (service === undefined || service.metadata.deletionTimestamp !== undefined) return {}
  const { namespace = '', uid } = service.metadata
  const works = deps.remoteWorks
    .byIndex('service', key)
    .filter(({ metadata }) => metadata.ownerReferences?.some((owner) => owner.uid === uid))
  const { owners, candidates } = service.status ?? {}
  const isPlaced = owners !== undefined || candidates !== undefined
  if (service.spec.placement === undefined && works.length === 0 && !isPlaced) return {}

  const { name } = service.spec.modelRef
  const labels = deps.namespaces.get({ name: namespace })?.metadata.labels
  const model = modelState(name, deps.models.get({ namespace, name }))
  const dataClass = raisedClass(classOfNamespace(labels), service.spec.dataClass)
  const template = templateOf(service, model, deps.settings)
  const divided = isDivided(service.spec)
    ? divide({ service, model, template, dataClass, namespaceLabels: labels, works }, deps)
    : undefined
  const placement = planPlacement({
    ...{ service, model, dataClass, works },
    now: deps.clock.now(),
    revision: template === undefined ? undefined : revisionOf(template),
    ...(divided !== undefined && { shares: divided.shares }),
  })
  const costCentre = service.metadata.labels?.[costCentreLabel] ?? labels?.[costCentreLabel]
  for (const each of placement.create) {
    await create(service, { ...each, ...(costCentre !== undefined && { costCentre }) }, deps, signal)
  }
  for (const { work, revision } of placement.relabel) {
    const changed = { metadata: { labels: { [revisionLabel]: revision } } }
    await deps.client.patch(remoteWorks, refOf(work), changed, { signal, fieldManager: placementManager })
  }
  for (const work of placement.remove) {
    const { uid: workUid } = work.metadata
    await deps.client.delete(remoteWorks, refOf(work), {
      signal,
      propagationPolicy: 'Background',
      ...(workUid !== undefined && { uid: workUid }),
    })
  }
  await writeStatus(service, placement, divided, deps, signal)
  const after = Math.min(
    placement.afterSeconds ?? Number.POSITIVE_INFINITY,
    divided?.afterSeconds ?? Number.POSITIVE_INFINITY,
  )
  return after === Number.POSITIVE_INFINITY ? {} : { afterSeconds: after }
}

function templateOf(service: InferenceService, { servable }: ModelState, settings: WorkerSettings) {
  return servable === undefined ? undefined : workerPod(service, servable.model, servable.entrypoint, settings)
}

async function create(
  service: Live<InferenceService>,
  { peer, work, part = 0, revision, costCentre }: Placement['create'][number] & { costCentre?: string },
  { client }: PlacementDeps,
  signal: AbortSignal,
): Promise<void> {
  const { namespace = '', name, uid } = service.metadata
  const remoteWork: RemoteWork = {
    apiVersion,
    kind: 'RemoteWork',
    metadata: {
      namespace,
      name: remoteWorkName({ name, uid }, peer, work, part),
      labels: {
        'app.kubernetes.io/managed-by': 'hansa',
        [serviceLabel]: name,
        [peerLabel]: peer,
        ...(revision !== undefined && { [revisionLabel]: revision }),
        ...(part > 0 && { [partLabel]: String(part) }),
        ...(costCentre !== undefined && { [costCentreLabel]: costCentre }),
      },
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
  divided: Divided | undefined,
  deps: PlacementDeps,
  signal: AbortSignal,
): Promise<void> {
  const candidates = divided === undefined ? undefined : statusCandidates(divided.decision.candidates, divided.now)
  const owners = placement.owners.map(ownerStatus)
  const condition = peersReady(owners)
  const before = conditionOf(service.status?.conditions, 'PeersReady')
  const { generation = 0 } = service.metadata
  // Only what is ours: the other fields of the status are those of the controller of the workers here.
  const status: InferenceServiceStatus = {
    ...(owners.length > 0 && { owners }),
    ...(candidates !== undefined && { candidates }),
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
  if (written === service) return
  announceMoves(service, candidates ?? [], deps)
  if (condition === undefined) return
  if (before?.status === condition.status && before.reason === condition.reason) return
  deps.events.record(service, {
    type: condition.status === 'False' && condition.reason !== 'PeerProgressing' ? 'Warning' : 'Normal',
    reason: condition.reason,
    action: 'Place',
    note: condition.message,
  })
}

/** An event for each change of who runs how many workers. */
function announceMoves(
  service: InferenceService,
  after: readonly PlacementCandidate[],
  { events, metrics }: Pick<PlacementDeps, 'events' | 'metrics'>,
): void {
  const before = new Map((service.status?.candidates ?? []).map(({ owner, replicas }) => [owner, replicas]))
  const changed = after.filter(({ owner, replicas }) => (before.get(owner) ?? 0) !== replicas)
  if (changed.length === 0) return
  const words = changed.map(({ owner, replicas }) => `${owner} ${before.get(owner) ?? 0} to ${replicas}`).join(', ')
  events.record(service, { type: 'Normal', reason: 'Placed', action: 'Place', note: `workers: ${words}` })
  const difference = (isOwn: boolean) =>
    changed
      .filter(({ owner }) => (owner === ownName) === isOwn)
      .reduce((sum, { owner, replicas }) => sum + replicas - (before.get(owner) ?? 0), 0)
  const [home, away] = [difference(true), difference(false)]
  if (home < 0 && away > 0) metrics.moved('ToPeers', Math.min(-home, away))
  if (home > 0 && away < 0) metrics.moved('Home', Math.min(home, -away))
}
