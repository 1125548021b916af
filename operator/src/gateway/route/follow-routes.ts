import type { Registry } from 'prom-client'
import type { InferenceService } from '../../api/inference-service.ts'
import type { RemoteWork } from '../../api/remote-work.ts'
import { guestWorkLabel, leaseAnnotationName } from '../../guestlease/lease.ts'
import { pods as podResource } from '../../kube/builtin.ts'
import type { KubeClient } from '../../kube/client-types.ts'
import type { Clock } from '../../kube/clock.ts'
import { inferenceServices } from '../../kube/hansa-resources.ts'
import type { Pod } from '../../kube/pod-types.ts'
import { startReflector } from '../../kube/reflector.ts'
import type { Live } from '../../kube/resource.ts'
import type { Store } from '../../kube/store.ts'
import type { Logger } from '../../process/log.ts'
import { revisionLabel, serviceLabel } from './labels.ts'
import { planRoutes } from './plan-routes.ts'
import type { RouteTable } from './route-table.ts'
import type { SavedRoutes } from './saved-routes.ts'

export type RouteSource = {
  /** Where the routes come from now; `none` until the first are known. */
  from(): 'none' | 'disk' | 'api'
  /** Seconds since the API server last said anything, a bookmark included; undefined while there are no routes. */
  ageSeconds(): number | undefined
  stop(): Promise<void>
}

const gatherMs = 20
const podSelector = 'app.kubernetes.io/component=worker,app.kubernetes.io/managed-by=hansa'

/**
 * Keeps the table as the API server says, from InferenceServices and worker pods. Until both lists are in it serves what an earlier
 * run saved, and it never empties the table because the API server went away.
 */
export async function followRoutes(
  deps: {
    client: KubeClient
    table: RouteTable
    saved: SavedRoutes
    clock: Clock
    log: Logger
    random: () => number
    registry: Registry
    /** What peers run for us; undefined where no owners are joined. */
    works?: Pick<Store<RemoteWork>, 'list' | 'subscribe'> | undefined
  },
  signal: AbortSignal,
): Promise<RouteSource> {
  const { client, table, saved, clock, log, works } = deps
  let from: 'none' | 'disk' | 'api' = 'none'
  let savedAt: number | undefined
  const stored = await saved.load()
  if (stored !== undefined) {
    table.replace(stored.items)
    from = 'disk'
    savedAt = stored.savedAt
    log.info({ routes: stored.items.length }, 'serving the routes of an earlier run until the API server answers')
  }
  const reflectorDeps = { client, log, clock, random: deps.random, registry: deps.registry }
  const services = startReflector(reflectorDeps, { resource: inferenceServices, transform: slimService }, signal)
  const pods = startReflector(
    reflectorDeps,
    { resource: podResource, labelSelector: podSelector, transform: slimPod },
    signal,
  )
  const reported = new Set<string>()
  let gathering: (() => void) | undefined

  function update(): void {
    gathering = undefined
    if (signal.aborted || !services.store.isSynced() || !pods.store.isSynced()) return
    const { routes, unreadable } = planRoutes(services.store.list(), pods.store.list(), works?.list())
    for (const { key, problem } of unreadable) {
      if (!reported.has(key)) log.warn({ key, problem }, 'this InferenceService cannot be routed')
      reported.add(key)
    }
    table.replace(routes)
    saved.save(routes.map(({ peers: _, ...kept }) => kept))
    if (from !== 'api') log.info({ routes: routes.length }, 'routes read from the API server')
    from = 'api'
  }
  // A rollout changes many objects at once; one new table a moment later is enough.
  const changed = () => {
    gathering ??= clock.after(gatherMs, update)
  }
  const unsubscribe = [services.store.subscribe(changed), pods.store.subscribe(changed), works?.subscribe(changed)]
  Promise.all([services.store.synced, pods.store.synced]).then(changed, () => {
    // Rejects only when the signal ends the reflectors before their first list; then there is nothing to follow.
  })
  return {
    from: () => from,
    ageSeconds: () => {
      if (from === 'api') return Math.max(services.silentMilliseconds(), pods.silentMilliseconds()) / 1000
      return savedAt === undefined ? undefined : Math.max(0, (clock.now() - savedAt) / 1000)
    },
    stop: async () => {
      gathering?.()
      for (const end of unsubscribe) end?.()
      await Promise.all([services.stop(), pods.stop()])
      await saved.flush()
    },
  }
}

function slimService(service: Live<InferenceService>): Live<InferenceService> {
  const { apiVersion, kind, metadata, spec, status } = service
  return {
    apiVersion,
    kind,
    metadata: { ...slimMetadata(metadata), ...guestMetadata(metadata) },
    spec: {
      ...spec,
      resources: {},
    },
    status: {
      traffic: status?.traffic ?? [],
      ...(status?.rollout === undefined ? {} : { rollout: status.rollout }),
    },
  }
}

function slimPod(pod: Live<Pod>): Live<Pod> {
  const { apiVersion, kind, metadata, status } = pod
  const labels = metadata.labels ?? {}
  return {
    apiVersion,
    kind,
    metadata: {
      ...slimMetadata(metadata),
      labels: { [serviceLabel]: labels[serviceLabel] ?? '', [revisionLabel]: labels[revisionLabel] ?? '' },
    },
    spec: { containers: [] },
    status: {
      ...(status?.podIP === undefined ? {} : { podIP: status.podIP }),
      conditions: (status?.conditions ?? []).filter(({ type }) => type === 'Ready'),
    },
  }
}

function guestMetadata({ labels, annotations }: Live['metadata']): Pick<Live['metadata'], 'labels' | 'annotations'> {
  const guest = labels?.[guestWorkLabel]
  if (guest === undefined) return {}
  return {
    labels: { [guestWorkLabel]: guest },
    annotations: { [leaseAnnotationName]: annotations?.[leaseAnnotationName] ?? '' },
  }
}

function slimMetadata(metadata: Live['metadata']): Live['metadata'] {
  const { name, namespace = '', uid, resourceVersion, deletionTimestamp } = metadata
  return {
    name,
    namespace,
    uid,
    resourceVersion,
    ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
  }
}
