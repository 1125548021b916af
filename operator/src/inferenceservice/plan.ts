import type { InferenceService } from '../api/inference-service.ts'
import type { Deployment } from '../kube/builtin.ts'
import { conditionOf } from '../kube/conditions.ts'
import type { PodTemplate } from '../kube/pod-types.ts'
import { revisionLabel } from './names.ts'

export type Traffic = { revision: string; percent: number }[]

/** What shall be: the newest revision's Deployment, which Deployments go, and who gets requests meanwhile. */
export type Plan = {
  latest: { revision: string; template: PodTemplate; replicas: number } | undefined
  remove: Deployment[]
  traffic: Traffic
  wantedReplicas: number
}

export type PlanInput = {
  service: InferenceService
  /** Undefined while the model cannot be served: then what runs stays as it is. */
  latest: { revision: string; template: PodTemplate } | undefined
  /** Every Deployment of the service. */
  deployments: readonly Deployment[]
  /** Workers that are wanted now, as the scaler decided; left out: what the spec alone says. */
  wanted?: number
}

/** Workers that the spec alone asks for, whatever the demand. */
export function wantedReplicas({ spec }: InferenceService): number {
  if (spec.suspend) return 0
  return spec.scaling.mode === 'External' ? (spec.replicas ?? spec.scaling.minReplicas) : spec.scaling.minReplicas
}

/**
 * Decides the next step of a rollout. Requests stay with the old revision until the new one has all its workers, and the old
 * workers stay until gateways were told so (`status.traffic` as read back), so that no request finds nobody. An old revision
 * that never came up gives way at once, since it may hold the GPU that the new one needs; one that did come up and has lost its
 * workers may get them back, and gives way to the first ready worker of the new one.
 */
export function plan(input: PlanInput): Plan {
  const { service, latest } = input
  const deployments = input.deployments.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
  const wanted = service.spec.suspend ? 0 : (input.wanted ?? wantedReplicas(service))
  if (service.spec.suspend || (latest === undefined && wanted === 0)) {
    return { latest: undefined, remove: [...deployments], traffic: [], wantedReplicas: 0 }
  }
  const told = service.status?.traffic ?? []
  const serving = deployments.filter((deployment) => told.some(({ revision }) => revision === revisionIn(deployment)))
  if (latest === undefined) {
    return { latest, remove: [], traffic: serving.length > 0 ? [...told] : [], wantedReplicas: wanted }
  }
  const next = deployments.find((deployment) => revisionIn(deployment) === latest.revision)
  const others = serving.filter((deployment) => deployment !== next)
  const complete = wanted === 0 || allReady(next, wanted)
  const handOver = complete || others.every((old) => givesWay(old, next))
  // Without workers too: gateways hold requests for the revision, and use its first ready worker at once.
  const traffic: Traffic = handOver ? [{ revision: latest.revision, percent: 100 }] : [...told]
  return {
    latest: { ...latest, replicas: wanted },
    remove: sameTraffic(traffic, told)
      ? deployments.filter(
          (old) =>
            old !== next &&
            !others.includes(old) &&
            // What still has workers is kept while nothing else has: what `status.traffic` names may be gone.
            (complete || others.length > 0 || readyReplicas(old) === 0),
        )
      : [],
    traffic,
    wantedReplicas: wanted,
  }
}

function givesWay(old: Deployment, next: Deployment | undefined): boolean {
  if (readyReplicas(old) > 0) return false
  const cameUp = conditionOf(old.status?.conditions, 'Progressing')?.reason === 'NewReplicaSetAvailable'
  return !cameUp || readyReplicas(next) > 0
}

export function revisionIn(deployment: Deployment): string | undefined {
  return deployment.metadata.labels?.[revisionLabel]
}

export function readyReplicas(deployment: Deployment | undefined): number {
  return deployment?.status?.readyReplicas ?? 0
}

/** All wanted workers of the Deployment as it is specified now. */
export function allReady(deployment: Deployment | undefined, wanted: number): boolean {
  if (deployment === undefined) return false
  const seen = (deployment.status?.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  return seen && readyReplicas(deployment) >= wanted
}

function sameTraffic(a: Traffic, b: Traffic): boolean {
  return (
    a.length === b.length && a.every((entry, i) => entry.revision === b[i]?.revision && entry.percent === b[i]?.percent)
  )
}
