import type { InferenceService } from '../api/inference-service.ts'
import type { RolledOutReason } from '../api/inference-service-reasons.ts'
import type { Deployment } from '../kube/builtin.ts'
import { conditionOf } from '../kube/conditions.ts'
import type { Pod, PodTemplate } from '../kube/pod-types.ts'
import { decideRollout, type RolloutStatus, type ServiceDemand, type Traffic } from '../rollout/decide.ts'
import { ordersFor } from '../rollout/orders.ts'
import { lastingTrouble, newestReady } from '../rollout/readiness.ts'
import { revisionLabel } from './names.ts'

/** What shall be: the newest revision's Deployment, which Deployments go, and who gets requests meanwhile. */
export type Plan = {
  latest: { revision: string; template: PodTemplate; replicas: number } | undefined
  /** Deployments that keep their template and get another count of workers. */
  scale: { deployment: Deployment; replicas: number }[]
  remove: Deployment[]
  traffic: Traffic
  wantedReplicas: number
  /** `status.rollout`. */
  rollout: RolloutStatus | undefined
  /** What the condition RolledOut says; left out where it stays as it is. */
  rolledOut?: { reason: RolledOutReason; message: string }
}

export type PlanInput = {
  service: InferenceService
  /** Undefined while the model cannot be served: then what runs stays as it is. */
  latest: { revision: string; template: PodTemplate } | undefined
  /** Every Deployment of the service. */
  deployments: readonly Deployment[]
  /** Every worker of the service. */
  pods: readonly Pod[]
  demand: ServiceDemand
  /** Milliseconds since 1970. */
  now: number
  /** Workers that are wanted now, as the scaler decided; left out: what the spec alone says. */
  wanted?: number
}

/** Workers that the spec alone asks for, whatever the demand. */
export function wantedReplicas({ spec }: InferenceService): number {
  if (spec.suspend) return 0
  return spec.scaling.mode === 'External' ? (spec.replicas ?? spec.scaling.minReplicas) : spec.scaling.minReplicas
}

/** Decides the next step towards the newest revision, by the strategy of `spec.rollout`. */
export function plan(input: PlanInput): Plan {
  const { service, latest } = input
  const deployments = input.deployments.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
  const wanted = service.spec.suspend ? 0 : (input.wanted ?? wantedReplicas(service))
  const asked = { ...input, deployments, wanted }
  const tried = service.status?.rollout?.revision
  const old = oldOf(asked)
  if (service.spec.suspend) {
    // The old revision's template is nowhere else: without it, a revision that was rolled back would be all that is left.
    const keep = service.spec.rollout.strategy === 'Canary' && tried !== undefined ? old : undefined
    return {
      latest: undefined,
      scale: keep === undefined ? [] : [{ deployment: keep, replicas: 0 }],
      remove: deployments.filter((each) => each !== keep),
      traffic: [],
      wantedReplicas: 0,
      rollout: keep === undefined ? undefined : service.status?.rollout,
    }
  }
  const next = deployments.find((each) => revisionIn(each) === (latest?.revision ?? tried))
  if (service.spec.rollout.strategy === 'Canary' && old !== undefined && !givesWayUnproven(old)) {
    if (latest !== undefined || tried !== undefined) return canary(asked, next, old)
  }
  return replace(asked)
}

type Asked = PlanInput & { wanted: number }

/** The revision that a new one is compared with, and that serves until then; not one whose own canary was given up. */
function oldOf({ service, latest, deployments }: PlanInput): Deployment | undefined {
  const { traffic = [], rollout } = service.status ?? {}
  const next = latest?.revision ?? rollout?.revision
  const told = new Set(traffic.map(({ revision }) => revision))
  // After a suspension nobody was told of anything, and what is left beside the tried one is the old one.
  const others = deployments.filter((each) => {
    const revision = revisionIn(each)
    return (
      revision !== undefined && revision !== next && (told.has(revision) || (told.size === 0 && rollout !== undefined))
    )
  })
  const proven = others.filter((each) => revisionIn(each) !== rollout?.revision)
  // A service that goes back to what serves already has no canary.
  if (proven.length === 0 && next !== undefined && told.has(next)) return undefined
  return proven.find((each) => readyReplicas(each) > 0) ?? others.find((each) => readyReplicas(each) > 0) ?? proven[0]
}

function canary(input: Asked, next: Deployment | undefined, old: Deployment): Plan {
  const { service, latest, deployments, wanted, now } = input
  const told = service.status?.traffic ?? []
  const revision = latest?.revision ?? service.status?.rollout?.revision ?? ''
  const before = service.status?.rollout?.revision === revision ? service.status.rollout : undefined
  const pods = input.pods.filter(({ metadata }) => metadata.labels?.[revisionLabel] === revision)
  const decided = decideRollout({
    rollout: service.spec.rollout,
    wanted,
    next: {
      revision,
      ready: readyReplicas(next),
      replicas: next?.spec.replicas ?? 0,
      settled: allReady(next, 0),
      trouble: lastingTrouble({
        deployment: next,
        pods,
        loadSeconds: service.spec.timeouts.loadSeconds,
        now,
      }),
      newestReady: newestReady(pods),
    },
    old: { revision: revisionIn(old) ?? '', ready: readyReplicas(old) },
    before,
    told,
    orders: ordersFor(service, revision),
    frozen: latest === undefined,
    demand: input.demand,
    now,
  })
  const { outcome, replicas, traffic } = decided
  const tried = outcome === 'RolledBack' ? undefined : next
  return {
    latest: latest === undefined || outcome === 'RolledBack' ? undefined : { ...latest, replicas },
    scale: [
      { deployment: old, replicas: wanted },
      ...(latest === undefined && tried !== undefined ? [{ deployment: tried, replicas }] : []),
    ],
    remove: sameTraffic(traffic, told) ? deployments.filter((each) => each !== old && each !== tried) : [],
    traffic,
    wantedReplicas: wanted,
    rollout: decided.status,
    rolledOut: { reason: decided.reason, message: decided.message },
  }
}

/**
 * Requests stay with the old revision until the new one has all its workers, and the old workers stay until gateways were told so
 * (`status.traffic` as read back), so that no request finds nobody. An old revision that never came up gives way at once, since it
 * may hold the GPU that the new one needs; one that did come up and has lost its workers may get them back, and gives way to the
 * first ready worker of the new one.
 */
function replace({ service, latest, deployments, wanted }: Asked): Plan {
  if (latest === undefined && wanted === 0) {
    return { latest, scale: [], remove: [...deployments], traffic: [], wantedReplicas: 0, rollout: undefined }
  }
  const { traffic: told = [], rollout } = service.status ?? {}
  const serving = deployments.filter((deployment) => told.some(({ revision }) => revision === revisionIn(deployment)))
  if (latest === undefined) {
    const traffic = serving.length > 0 ? [...told] : []
    return { latest, scale: [], remove: [], traffic, wantedReplicas: wanted, rollout }
  }
  const next = deployments.find((deployment) => revisionIn(deployment) === latest.revision)
  const others = serving.filter((deployment) => deployment !== next)
  const complete = wanted === 0 || allReady(next, wanted)
  // Back to what serves already: the canary of another revision ends at once.
  const isBack =
    next !== undefined && serving.includes(next) && others.every((each) => revisionIn(each) === rollout?.revision)
  const handOver = complete || others.every((old) => givesWay(old, next)) || (isBack && readyReplicas(next) > 0)
  // Without workers too: gateways hold requests for the revision, and use its first ready worker at once.
  const traffic: Traffic = handOver ? [{ revision: latest.revision, percent: 100 }] : [...told]
  const meanwhile = traffic.find(({ revision }) => revision !== latest.revision)
  return {
    latest: { ...latest, replicas: wanted },
    scale: [],
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
    rollout: undefined,
    rolledOut:
      meanwhile === undefined
        ? { reason: 'Promoted', message: `revision ${latest.revision} has all traffic` }
        : {
            reason: 'CanaryWaiting',
            message: `revision ${latest.revision} waits for its workers; revision ${meanwhile.revision} keeps serving`,
          },
  }
}

function givesWay(old: Deployment, next: Deployment | undefined): boolean {
  return givesWayUnproven(old) || (readyReplicas(old) === 0 && readyReplicas(next) > 0)
}

/** An old revision that never came up is nothing to compare with, nor to go back to. */
function givesWayUnproven(old: Deployment): boolean {
  const cameUp = conditionOf(old.status?.conditions, 'Progressing')?.reason === 'NewReplicaSetAvailable'
  return readyReplicas(old) === 0 && !cameUp
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

/** In whatever order: the API server merges the list by revision. */
function sameTraffic(a: Traffic, b: Traffic): boolean {
  return (
    a.length === b.length &&
    a.every((entry) => b.some((other) => other.revision === entry.revision && other.percent === entry.percent))
  )
}
