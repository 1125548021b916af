import { isIP } from 'node:net'
import {
  type InferenceService,
  type InferenceServiceSpec,
  inferenceServiceSpecSchema,
} from '../../api/inference-service.ts'
import type { RemoteWork } from '../../api/remote-work.ts'
import { guestWorkLabel, leaseAnnotationName, parseLease } from '../../guestlease/lease.ts'
import type { Pod } from '../../kube/pod-types.ts'
import { revisionLabel, serviceLabel } from './labels.ts'
import { type PeerEndpoint, peerEndpointOf } from './peer-endpoint.ts'
import { type Endpoint, type RouteSpec, routeKey } from './route-spec.ts'

/** The part of the spec that routing needs, so that one odd field elsewhere never takes a service off the air. */
const routedSpecSchema = inferenceServiceSpecSchema.pick({
  access: true,
  timeouts: true,
  limits: true,
  suspend: true,
  scaling: true,
  rollout: true,
  placement: true,
})

export type RoutePlan = { routes: RouteSpec[]; unreadable: { key: string; problem: string }[] }

/**
 * Services, their worker pods and what runs of them at peers to routes; a pod counts when it is Ready, not being deleted, and its revision
 * has traffic.
 */
export function planRoutes(
  services: readonly InferenceService[],
  pods: readonly Pod[],
  works: readonly RemoteWork[] = [],
): RoutePlan {
  const peersByService = groupPeers(works)
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
    const { access, timeouts, limits, suspend, scaling, placement } = parsed.data
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
      targetInFlight: scaling.targetInFlight,
      ownFirst: placement === undefined || placement.strategy === 'OwnFirst',
      ...trial,
      ...guestOf(service),
      ...peersOf(service, peersByService.get(key)),
      endpoints: (podsByService.get(key) ?? [])
        .flatMap((pod) => endpoint(pod, percents, trial.mirror?.revision))
        .sort((a, b) => a.pod.localeCompare(b.pod))
        .slice(0, 1000),
    })
  }
  return plan
}

function groupPeers(works: readonly RemoteWork[]): Map<string, PeerEndpoint[]> {
  const peers = new Map<string, PeerEndpoint[]>()
  for (const work of works) {
    const at = peerEndpointOf(work)
    if (at === undefined) continue
    const key = routeKey(at.namespace, at.service)
    const others = peers.get(key)
    if (others === undefined) peers.set(key, [at.endpoint])
    else others.push(at.endpoint)
  }
  return peers
}

/** A guest has none: what came from a peer is never passed on. */
function peersOf({ metadata, status }: InferenceService, found: PeerEndpoint[] = []): Pick<RouteSpec, 'peers'> {
  if (found.length === 0 || metadata.labels?.[guestWorkLabel] !== undefined) return {}
  const traffic = status?.traffic ?? []
  const stable = traffic.toSorted((a, b) => b.percent - a.percent)[0]?.revision
  const percentOf = (revision: string) =>
    traffic.length === 0 ? 100 : (traffic.find((share) => share.revision === revision)?.percent ?? 0)
  const peers = found
    .map((each) => ({ ...each, revision: each.revision ?? stable ?? '' }))
    .map((each) => ({ ...each, percent: percentOf(each.revision) }))
    .filter(({ percent }) => percent > 0)
    .sort((a, b) => a.requestId.localeCompare(b.requestId))
    .slice(0, 256)
  return peers.length === 0 ? {} : { peers }
}

/** The lease of a service that the operator made for another owner; a guest whose lease cannot be read has none. */
function guestOf({ metadata }: InferenceService): Pick<RouteSpec, 'guest'> {
  const work = metadata.labels?.[guestWorkLabel]
  if (work === undefined) return {}
  const lease = parseLease(metadata.annotations?.[leaseAnnotationName])
  return { guest: { uid: metadata.uid ?? '', work, ...(lease !== undefined && { lease }) } }
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
