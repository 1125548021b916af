import { isIP } from 'node:net'
import {
  type InferenceService,
  type InferenceServiceSpec,
  inferenceServiceSpecSchema,
} from '../../api/inference-service.ts'
import { guestWorkLabel, leaseAnnotationName, parseLease } from '../../guestlease/lease.ts'
import type { Pod } from '../../kube/pod-types.ts'
import { type Endpoint, type RouteSpec, routeKey } from './route-spec.ts'

export const serviceLabel = 'hansa.dev/inference-service'
export const revisionLabel = 'hansa.dev/revision'

/** The part of the spec that routing needs, so that one odd field elsewhere never takes a service off the air. */
const routedSpecSchema = inferenceServiceSpecSchema.pick({
  access: true,
  timeouts: true,
  limits: true,
  suspend: true,
  scaling: true,
  rollout: true,
})

export type RoutePlan = { routes: RouteSpec[]; unreadable: { key: string; problem: string }[] }

/** Services and their worker pods to routes; a pod counts when it is Ready, not being deleted, and its revision has traffic. */
export function planRoutes(services: readonly InferenceService[], pods: readonly Pod[]): RoutePlan {
  const podsByService = Map.groupBy(pods, (pod) =>
    routeKey(pod.metadata.namespace ?? '', pod.metadata.labels?.[serviceLabel] ?? ''),
  )
  const plan: RoutePlan = { routes: [], unreadable: [] }
  for (const service of services) {
    const { name, namespace = '', deletionTimestamp } = service.metadata
    if (deletionTimestamp !== undefined) continue
    const key = routeKey(namespace, name)
    const parsed = routedSpecSchema.safeParse(service.spec)
    if (!parsed.success) {
      plan.unreadable.push({ key, problem: parsed.error.issues[0]?.message ?? 'unreadable' })
      continue
    }
    const { access, timeouts, limits, suspend, scaling } = parsed.data
    const trial = trialOf(service, parsed.data.rollout)
    const percents = new Map(service.status?.traffic?.map(({ revision, percent }) => [revision, percent]))
    plan.routes.push({
      namespace,
      service: name,
      serviceAccounts: (access.serviceAccounts ?? []).map((account) => `${account.namespace}:${account.name}`),
      oidc: (access.oidc ?? []).map(({ issuerName, subjects = [], groups = [] }) => ({ issuerName, subjects, groups })),
      requestSeconds: timeouts.requestSeconds,
      requestBytes: limits.requestBytes,
      responseBytes: limits.responseBytes,
      inFlight: limits.inFlight,
      suspended: suspend,
      mayWake: scaling.mode === 'External' || scaling.minReplicas === 0,
      holdSeconds: scaling.holdSeconds,
      held: limits.held,
      queueDepth: limits.queueDepth,
      ...trial,
      ...guestOf(service),
      endpoints: (podsByService.get(key) ?? [])
        .flatMap((pod) => endpoint(pod, percents, trial.mirror?.revision))
        .sort((a, b) => a.pod.localeCompare(b.pod))
        .slice(0, 1000),
    })
  }
  return plan
}

/** The lease of a service that the operator made for another owner; a guest whose lease cannot be read has none. */
function guestOf({ metadata }: InferenceService): Pick<RouteSpec, 'guest'> {
  if (metadata.labels?.[guestWorkLabel] === undefined) return {}
  const lease = parseLease(metadata.annotations?.[leaseAnnotationName])
  return { guest: { uid: metadata.uid ?? '', ...(lease !== undefined && { lease }) } }
}

/** What a gateway does differently while a rollout is under way. */
function trialOf(
  { status }: InferenceService,
  { mirror }: InferenceServiceSpec['rollout'],
): Pick<RouteSpec, 'canary' | 'mirror'> {
  const rollout = status?.rollout
  if (rollout === undefined || rollout.state === 'RolledBack') return {}
  const { revision } = rollout
  if (mirror === undefined) return { canary: revision }
  return { canary: revision, mirror: { revision, permille: mirror.permille, tolerance: Number(mirror.tolerance) } }
}

function endpoint(pod: Pod, percents: ReadonlyMap<string, number>, mirrored: string | undefined): Endpoint[] {
  const revision = pod.metadata.labels?.[revisionLabel] ?? ''
  const percent = percents.get(revision) ?? 0
  const address = pod.status?.podIP ?? ''
  const ready = pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false
  if (
    (percent === 0 && revision !== mirrored) ||
    !ready ||
    pod.metadata.deletionTimestamp !== undefined ||
    isIP(address) === 0
  )
    return []
  return [{ address, pod: pod.metadata.name, revision, percent }]
}
