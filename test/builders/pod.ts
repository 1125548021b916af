import type { Node } from '@hansa/operator/kube/builtin.ts'
import type { Pod } from '@hansa/operator/kube/pod-types.ts'
import { type Modifier, metadata } from './object.ts'

type Change = Modifier<Pod>

/** A pod that asks for these quantities, in namespace `default`, not yet looked at by the scheduler. */
export function pod(name: string, requests: Record<string, string>, ...changes: Change[]): Pod {
  const made: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: metadata('Pod', name),
    spec: { containers: [{ name: 'main', resources: { requests } }] },
    status: { phase: 'Pending' },
  }
  for (const change of changes) change(made)
  return made
}

export const onNode =
  (nodeName: string): Change =>
  (made) => {
    made.spec.nodeName = nodeName
    made.status = { ...made.status, phase: 'Running' }
  }

/** The scheduler found no room for it. */
export const unschedulable =
  (since = '2026-01-01T00:00:00Z', nominatedNodeName?: string): Change =>
  (made) => {
    const condition = {
      type: 'PodScheduled',
      status: 'False' as const,
      reason: 'Unschedulable',
      lastTransitionTime: since,
    }
    made.status = {
      ...made.status,
      conditions: [condition],
      ...(nominatedNodeName !== undefined && { nominatedNodeName }),
    }
  }

/** A worker of an InferenceService of namespace `guests`. */
export const guestOf =
  (service: string): Change =>
  (made) => {
    made.metadata.namespace = 'guests'
    made.metadata.labels = { ...made.metadata.labels, 'hansa.dev/inference-service': service }
  }

/** A node that is ready and has these quantities. */
export function node(name: string, allocatable: Record<string, string>, labels: Record<string, string> = {}): Node {
  const { namespace: _, ...clusterWide } = metadata('Node', name)
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { ...clusterWide, labels },
    status: { allocatable, conditions: [{ type: 'Ready', status: 'True' }] },
  }
}
