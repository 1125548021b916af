import type { Registry } from 'prom-client'
import { managedSelector } from '../inferenceservice/names.ts'
import { type Node, nodes, pods, priorityClasses, resourceQuotas } from '../kube/builtin.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { guestWorks, sharePolicies } from '../kube/hansa-resources.ts'
import { startReflector } from '../kube/reflector.ts'
import type { Live } from '../kube/resource.ts'
import type { Logger } from '../process/log.ts'
import { slimPod } from './pod-view.ts'

/** What only sharing looks at, kept in step with the API server. */
export function startGuestStores(
  deps: { client: KubeClient; log: Logger; registry: Registry },
  systemNamespace: string,
  signal: AbortSignal,
) {
  return {
    sharePolicies: startReflector(deps, { resource: sharePolicies }, signal).store,
    guestWorks: startReflector(deps, { resource: guestWorks, namespace: systemNamespace }, signal).store,
    priorityClasses: startReflector(deps, { resource: priorityClasses }, signal).store,
    quotas: startReflector(deps, { resource: resourceQuotas, labelSelector: managedSelector }, signal).store,
    nodes: startReflector(deps, { resource: nodes, transform: slimNode }, signal).store,
    // All pods of the cluster that are not over: what waits, and what takes room.
    allPods: startReflector(
      deps,
      { resource: pods, fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed', transform: slimPod },
      signal,
    ).store,
  }
}

export type GuestStores = ReturnType<typeof startGuestStores>

/** Drops of a node what no decision needs, such as its images and the times of its heartbeats. */
function slimNode({ apiVersion, kind, metadata, spec, status }: Live<Node>): Live<Node> {
  const { name, uid, resourceVersion, labels } = metadata
  const ready = (status?.conditions ?? []).filter(({ type }) => type === 'Ready')
  return {
    apiVersion,
    kind,
    metadata: { name, uid, resourceVersion, ...(labels !== undefined && { labels }) },
    spec: {
      ...(spec?.unschedulable !== undefined && { unschedulable: spec.unschedulable }),
      ...(spec?.taints !== undefined && { taints: spec.taints }),
    },
    status: {
      ...(status?.allocatable !== undefined && { allocatable: status.allocatable }),
      conditions: ready.map(({ type, status: value }) => ({ type, status: value })),
    },
  }
}
