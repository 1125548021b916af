import type { InferenceService } from '../api/inference-service.ts'
import type { InferenceServiceReason } from '../api/inference-service-reasons.ts'
import type { Model } from '../api/model.ts'
import { apiVersion } from '../api/resource.ts'
import type { Demand } from '../demand/demand.ts'
import { isRefused, type KubeApiError } from '../kube/api-error.ts'
import type { Applier } from '../kube/apply-if-changed.ts'
import {
  type Deployment,
  deployments as deploymentResource,
  type NetworkPolicy,
  networkPolicies,
  type ServiceAccount,
  serviceAccounts,
} from '../kube/builtin.ts'
import type { KubeClient } from '../kube/client-types.ts'
import type { Clock } from '../kube/clock.ts'
import { conditionOf } from '../kube/conditions.ts'
import type { ReconcileContext, ReconcileResult } from '../kube/controller.ts'
import type { EventRecorder } from '../kube/events.ts'
import { inferenceServices } from '../kube/hansa-resources.ts'
import type { Pod } from '../kube/pod-types.ts'
import { type Live, refOf, refOfKey } from '../kube/resource.ts'
import type { Store } from '../kube/store.ts'
import { ownWorkers } from '../placement/managed.ts'
import { announceRollout } from '../rollout/announce.ts'
import type { RolloutCounter } from '../rollout/metrics.ts'
import type { Scaler } from '../scaling/scaler.ts'
import { scalingEvent } from '../scaling/scaling-event.ts'
import { workerAccount, workerDeployment, workerNetworkPolicy } from './children.ts'
import { type ModelState, modelState } from './model-state.ts'
import { deploymentName, fieldManager, revisionLabel, workerServiceAccount } from './names.ts'
import { type Plan, type PlanInput, plan } from './plan.ts'
import { revisionOf } from './revision.ts'
import type { WorkerSettings } from './settings.ts'
import { summarise } from './summarise.ts'
import { workerPod } from './worker-pod.ts'
import { refusedTrouble, troubleOf } from './workers.ts'

export type InferenceServiceDeps = {
  client: KubeClient
  applier: Applier
  events: EventRecorder
  clock: Clock
  settings: WorkerSettings
  scaler: Pick<Scaler, 'decide'>
  services: Store<InferenceService, 'model'>
  models: Store<Model>
  accounts: Store<ServiceAccount>
  policies: Store<NetworkPolicy>
  /** Index `service` holds `namespace/name` of the InferenceService. */
  deployments: Store<Deployment, 'service'>
  pods: Store<Pod, 'service'>
  demand: Demand
  rollouts: RolloutCounter
}

/** How often a canary's figures are looked at. */
const canarySeconds = 1

/** Brings the workers of one InferenceService in line with its spec; key `namespace/name`. */
export async function reconcileInferenceService(
  key: string,
  { signal }: ReconcileContext,
  deps: InferenceServiceDeps,
): Promise<ReconcileResult> {
  const service = deps.services.get(refOfKey(key))
  // Children carry an owner reference: Kubernetes' garbage collector removes them.
  if (service === undefined || service.metadata.deletionTimestamp !== undefined) return {}

  const model = modelState(
    service.spec.modelRef.name,
    deps.models.get({ namespace: service.metadata.namespace ?? '', name: service.spec.modelRef.name }),
  )
  const deployments = deps.deployments.byIndex('service', key)
  const wanted = deps.scaler.decide(service)
  const decided = plan({
    service,
    latest: latestRevision(service, model, deps.settings),
    deployments,
    wanted: ownWorkers(service, wanted.replicas),
    pods: deps.pods.byIndex('service', key),
    demand: {
      isComplete: (seconds) => deps.demand.isComplete(seconds),
      window: (seconds) => deps.demand.window(key, seconds),
    },
    now: deps.clock.now(),
  })

  let refusal: KubeApiError | undefined
  try {
    await applyChildren(service, decided, deployments, deps, signal)
    const scaled = scalingEvent(wanted)
    if (scaled !== undefined) deps.events.record(service, scaled)
    await scaleOthers(decided, deps, signal)
    await removeOld(decided, deps, signal)
  } catch (error) {
    if (!isRefused(error)) throw error
    refusal = error
  }
  await writeStatus(service, model, decided, wanted.replicas, deployments, refusal, deps, signal)
  // Said, and yet to be tried again: a policy or quota may change without an event.
  if (refusal !== undefined) throw refusal
  const underWay = decided.rollout !== undefined && decided.rollout.state !== 'RolledBack'
  return underWay && decided.wantedReplicas > 0 ? { afterSeconds: canarySeconds } : {}
}

function latestRevision(service: InferenceService, model: ModelState, settings: WorkerSettings): PlanInput['latest'] {
  if (model.servable === undefined) return undefined
  const template = workerPod(service, model.servable.model, model.servable.entrypoint, settings)
  return { revision: revisionOf(template), template }
}

async function applyChildren(
  service: Live<InferenceService>,
  decided: Plan,
  deployments: readonly Live<Deployment>[],
  deps: InferenceServiceDeps,
  signal: AbortSignal,
): Promise<void> {
  // Workers that stay while their model cannot be judged are guarded as before.
  if (decided.latest === undefined && deployments.length === decided.remove.length) return
  const { applier, settings } = deps
  const child = { namespace: service.metadata.namespace ?? '', name: workerServiceAccount(service.metadata.name) }
  const policy = workerNetworkPolicy(service, settings)
  // Both before the first worker, in whichever order.
  await Promise.all([
    applier.apply(serviceAccounts, workerAccount(service), deps.accounts.get(child), { signal }),
    applier.apply(networkPolicies, policy, deps.policies.get(child), { signal }),
  ])
  if (decided.latest === undefined) return
  const { revision, template, replicas } = decided.latest
  const live = deployments.find(({ metadata }) => metadata.labels?.[revisionLabel] === revision)
  await applier.apply(deploymentResource, workerDeployment(service, revision, template, replicas), live, { signal })
}

/** Their template is what runs, whatever the spec says now; only the count of workers is ours to change. */
async function scaleOthers(decided: Plan, { client }: InferenceServiceDeps, signal: AbortSignal): Promise<void> {
  for (const { deployment, replicas } of decided.scale) {
    if (deployment.spec.replicas === replicas) continue
    await client.patch(deploymentResource, refOf(deployment), { spec: { replicas } }, { signal, fieldManager })
  }
}

async function removeOld(decided: Plan, { client }: InferenceServiceDeps, signal: AbortSignal): Promise<void> {
  for (const old of decided.remove) {
    const { uid } = old.metadata
    await client.delete(deploymentResource, refOf(old), {
      signal,
      propagationPolicy: 'Background',
      ...(uid !== undefined && { uid }),
    })
  }
}

async function writeStatus(
  service: Live<InferenceService>,
  model: ModelState,
  decided: Plan,
  total: number,
  deployments: readonly Live<Deployment>[],
  refusal: KubeApiError | undefined,
  deps: InferenceServiceDeps,
  signal: AbortSignal,
): Promise<void> {
  const key = `${service.metadata.namespace}/${service.metadata.name}`
  const revision = decided.latest?.revision ?? decided.traffic[0]?.revision
  const pods = deps.pods.byIndex('service', key).filter((pod) => pod.metadata.labels?.[revisionLabel] === revision)
  const deployment =
    revision === undefined
      ? undefined
      : deployments.find(({ metadata }) => metadata.name === deploymentName(service.metadata.name, revision))
  const latest = latestRevision(service, model, deps.settings)?.revision
  const status = summarise(
    {
      service,
      model,
      latestRevision: latest,
      plan: decided,
      total,
      deployments,
      trouble: refusal === undefined ? troubleOf(deployment, pods) : refusedTrouble(refusal),
      gatewayUrl: deps.settings.gatewayUrl,
    },
    new Date(deps.clock.now()),
  )
  // A canary's state must never be overwritten by one who has not seen it: a late reader of the store, or a former leader.
  const isCanary = status.rollout !== undefined || service.status?.rollout !== undefined
  const { resourceVersion } = service.metadata
  const metadata = { ...refOf(service), ...(isCanary && { resourceVersion }) }
  const written = await deps.applier.applyStatus(
    inferenceServices,
    { apiVersion, kind: 'InferenceService', metadata, status },
    service,
    { signal },
  )
  // What was not written is no transition: the store may be behind what was said already.
  if (written === service) return
  announce(service, status, deps.events)
  announceRollout(service, status, deps)
}

// Not ready, and nobody has to do anything: it comes by itself, or was asked for.
const expected: ReadonlySet<string> = new Set<InferenceServiceReason>([
  'Progressing',
  'ModelNotReady',
  'Suspended',
  'ScaledToZero',
])

/** An event for each change of `Ready`, in the condition's own words. */
function announce(service: InferenceService, status: InferenceService['status'], events: EventRecorder): void {
  const before = conditionOf(service.status?.conditions, 'Ready')
  const after = conditionOf(status?.conditions, 'Ready')
  if (after === undefined || (before?.status === after.status && before.reason === after.reason)) return
  events.record(service, {
    type: after.status === 'True' || expected.has(after.reason) ? 'Normal' : 'Warning',
    reason: after.reason,
    action: 'Reconcile',
    note: after.message,
  })
}
