import type { InferenceService, InferenceServiceStatus } from '../api/inference-service.ts'
import {
  type InferenceServiceConditionType,
  type InferenceServiceReason,
  inferenceServiceReasons,
} from '../api/inference-service-reasons.ts'
import type { ReasonText } from '../api/reason.ts'
import type { Deployment } from '../kube/builtin.ts'
import { type NewCondition, setConditions } from '../kube/conditions.ts'
import { elsewhere } from '../placement/managed.ts'
import type { ModelState } from './model-state.ts'
import { workerSelector } from './names.ts'
import { allReady, type Plan, readyReplicas, revisionIn } from './plan.ts'
import type { Trouble } from './workers.ts'

export type Observed = {
  service: InferenceService
  model: ModelState
  /** Revision that the spec asks for; undefined while the model cannot be served. */
  latestRevision: string | undefined
  plan: Plan
  /** Workers that are wanted in all; `plan` is about those here. */
  total?: number
  deployments: readonly Deployment[]
  trouble: Trouble | undefined
  gatewayUrl: string
}

type Finding = { type: InferenceServiceConditionType; reason: InferenceServiceReason; message: string }

/** The one place that writes an InferenceService's status: what it shall be, the old one taken over where nothing changed. */
export function summarise(observed: Observed, now: Date): InferenceServiceStatus {
  const { service, plan, deployments } = observed
  const { namespace = '', name, generation = 0 } = service.metadata
  const findings = [modelVerified(observed), workersReady(observed), routable(observed)]
  const first = findings.find((finding) => statusOf(finding) !== 'True')
  const ready: Finding = first
    ? { ...first, type: 'Ready' }
    : { type: 'Ready', reason: 'Ready', message: 'the service answers requests' }
  const conditions = [...findings, ready].map(
    (finding): NewCondition => ({
      type: finding.type,
      status: finding === ready && first !== undefined ? statusOf(first) : statusOf(finding),
      reason: finding.reason,
      message: finding.message,
      observedGeneration: generation,
    }),
  )
  if (plan.rolledOut !== undefined) {
    const { reason, message } = plan.rolledOut
    const status = inferenceServiceReasons.RolledOut[reason].status
    conditions.push({ type: 'RolledOut', status, reason, message, observedGeneration: generation })
  }
  // Another controller's: taken over, it would be written back when it is old.
  const before = service.status?.conditions?.filter(({ type }) => type !== 'PeersReady')
  const revision = plan.traffic[0]?.revision
  const latest = observed.latestRevision ?? service.status?.latestRevision
  return {
    observedGeneration: generation,
    url: `${observed.gatewayUrl}/${namespace}/${name}`,
    replicas: sum(deployments.map((deployment) => deployment.status?.replicas ?? 0)),
    readyReplicas: sum(deployments.map(readyReplicas)),
    selector: workerSelector(name),
    ...(revision !== undefined && { revision }),
    ...(latest !== undefined && { latestRevision: latest }),
    traffic: plan.traffic,
    desiredReplicas: observed.total ?? plan.wantedReplicas,
    ...(plan.rollout !== undefined && { rollout: plan.rollout }),
    conditions: setConditions(before, conditions, now),
  }
}

function modelVerified({ model, trouble }: Observed): Finding {
  if (trouble?.model !== undefined && model.reason === 'Verified') {
    // Verified once, refused by a worker: the files changed under the Model, which must never pass silently.
    return {
      type: 'ModelVerified',
      reason: 'ModelRejected',
      message: `${trouble.model.reason}: ${trouble.model.message}`,
    }
  }
  return { type: 'ModelVerified', reason: model.reason, message: model.message }
}

function workersReady({ service, plan, total = 0, deployments, trouble, model }: Observed): Finding {
  const finding = (reason: InferenceServiceReason, message: string): Finding => ({
    type: 'WorkersReady',
    reason,
    message,
  })
  if (service.spec.suspend) return finding('Suspended', 'spec.suspend is true')
  const wanted = plan.wantedReplicas
  const latest = plan.latest?.revision ?? plan.traffic[0]?.revision
  if (latest === undefined) {
    return plan.latest === undefined && model.servable === undefined
      ? finding('Progressing', 'no workers are started before the model is verified')
      : finding('ScaledToZero', 'no workers are wanted')
  }
  if (wanted === 0) {
    return total > 0
      ? finding('Ready', `no worker is wanted here; peers run ${elsewhere(service).ready} of ${total}`)
      : finding('ScaledToZero', 'no workers are wanted')
  }
  // In a canary the new revision has its share of workers beside the whole count of the old one.
  const groups = [
    { revision: latest, workers: plan.latest?.replicas ?? wanted },
    ...plan.scale.map(({ deployment, replicas }) => ({ revision: revisionIn(deployment), workers: replicas })),
  ].map((group) => ({ ...group, deployment: deployments.find((each) => revisionIn(each) === group.revision) }))
  const behind = groups.find(({ deployment, workers }) => !allReady(deployment, workers))
  if (behind === undefined) return finding('Ready', `all workers of revision ${latest} are ready`)
  const old = plan.traffic.find(({ revision }) => revision !== behind.revision)
  const meanwhile = old === undefined ? '' : `; revision ${old.revision} keeps serving`
  if (trouble !== undefined && behind.revision === latest) {
    return finding(trouble.reason, `${trouble.message}${meanwhile}`)
  }
  return finding(
    'Progressing',
    `${readyReplicas(behind.deployment)} of ${behind.workers} workers of revision ${behind.revision} are ready${meanwhile}`,
  )
}

function routable({ service, plan, total = 0, deployments }: Observed): Finding {
  const finding = (reason: InferenceServiceReason, message: string): Finding => ({ type: 'Routable', reason, message })
  if (service.spec.suspend) return finding('Suspended', 'spec.suspend is true')
  if (plan.wantedReplicas === 0 && total === 0) {
    return finding('ScaledToZero', 'no workers are wanted now; gateways hold requests while the service wakes')
  }
  const serving = deployments.filter((each) => plan.traffic.some(({ revision }) => revision === revisionIn(each)))
  const ready = sum(serving.map(readyReplicas)) + (plan.wantedReplicas < total ? elsewhere(service).ready : 0)
  if (ready === 0) return finding('NoReadyWorkers', 'no worker is ready to take requests')
  const { serviceAccounts = [], oidc = [] } = service.spec.access
  return serviceAccounts.length + oidc.length === 0
    ? finding('NoAccessListed', 'workers are ready, but spec.access lists nobody who may call the service')
    : finding('Routable', 'gateways send requests to ready workers')
}

function statusOf({ type, reason }: Finding): ReasonText['status'] {
  const catalogue: Readonly<Record<string, ReasonText>> = inferenceServiceReasons[type]
  const text = catalogue[reason]
  if (text === undefined) throw new Error(`reason ${reason} is not in the catalogue of condition ${type}`)
  return text.status
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}
