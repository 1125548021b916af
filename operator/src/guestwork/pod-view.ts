import { serviceLabel } from '../inferenceservice/names.ts'
import type { Node } from '../kube/builtin.ts'
import { conditionOf, isTrue } from '../kube/conditions.ts'
import type { Container, NativeCondition, Pod, PodSpec } from '../kube/pod-types.ts'
import type { Live } from '../kube/resource.ts'
import { type Amounts, add, amountsOf, maximum } from './resources.ts'

const kueueGates: ReadonlySet<string> = new Set(['kueue.x-k8s.io/admission', 'kueue.x-k8s.io/topology'])
/** Objects that another cluster's Kueue put here: the admin's own arrangement, which we leave alone. */
export const multiKueueLabel = 'kueue.x-k8s.io/multikueue-origin'

/** What of a pod says whether it waits, and what it takes. */
export type PodView = {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  /** `namespace/name` of the InferenceService that it may work for. */
  readonly service: string | undefined
  readonly nodeName: string | undefined
  readonly requests: Amounts
  readonly priority: number
  readonly created: string
  /** About to go: its room counts as free. */
  readonly leaving: boolean
  /** The scheduler found no room for it, or Kueue has not let it in. */
  readonly held: boolean
  /** Held by a gate of somebody else: it waits for something, but not for room. */
  readonly gated: boolean
  /** Since when the scheduler says that it finds no room, as RFC 3339. */
  readonly heldSince: string | undefined
  /** Where the scheduler makes room for it by preemption. */
  readonly nominatedNode: string | undefined
  /** It was chosen by the scheduler to make room. */
  readonly preempted: boolean
  readonly spec: Pick<PodSpec, 'nodeSelector' | 'tolerations' | 'affinity'>
  readonly startTime: string | undefined
  /** When its last container ended, where the pod is over. */
  readonly endTime: string | undefined
  readonly over: boolean
}

export function podView({ metadata, spec, status }: Pod): PodView {
  const namespace = metadata.namespace ?? ''
  const serviceName = metadata.labels?.[multiKueueLabel] === undefined ? metadata.labels?.[serviceLabel] : undefined
  const scheduled = conditionOf(status?.conditions, 'PodScheduled')
  const disrupted = conditionOf<NativeCondition>(status?.conditions, 'DisruptionTarget')
  const gates = (spec.schedulingGates ?? []).map(({ name }) => name)
  const over = status?.phase === 'Succeeded' || status?.phase === 'Failed'
  const unschedulable = scheduled?.status === 'False' && scheduled.reason === 'Unschedulable'
  return {
    namespace,
    name: metadata.name,
    uid: metadata.uid ?? '',
    service: serviceName === undefined ? undefined : `${namespace}/${serviceName}`,
    nodeName: spec.nodeName,
    requests: podRequests(spec),
    priority: spec.priority ?? 0,
    created: metadata.creationTimestamp ?? '',
    leaving: over || metadata.deletionTimestamp !== undefined,
    held: unschedulable || (gates.length > 0 && gates.every((gate) => kueueGates.has(gate))),
    gated: gates.some((gate) => !kueueGates.has(gate)),
    heldSince: scheduled?.lastTransitionTime,
    nominatedNode: status?.nominatedNodeName,
    preempted: disrupted?.status === 'True' && disrupted.reason === 'PreemptionByScheduler',
    spec,
    startTime: status?.startTime,
    endTime: over ? lastFinish(status) : undefined,
    over,
  }
}

/** What the scheduler counts for a pod: the larger of containers (with sidecars) and of any init container, and overhead. */
export function podRequests({ containers, initContainers = [], overhead }: PodSpec): Amounts {
  const of = ({ resources }: Pick<Container, 'resources'>) => {
    // The API server fills requests in from limits; objects made by hand in tests may lack them.
    const { requests, limits } = resources ?? {}
    return amountsOf({ ...limits, ...requests })
  }
  let sidecars: Amounts = new Map()
  let most: Amounts = new Map()
  for (const each of initContainers) {
    if (each.restartPolicy === 'Always') sidecars = add(sidecars, of(each))
    most = maximum(most, each.restartPolicy === 'Always' ? sidecars : add(sidecars, of(each)))
  }
  const running = containers.reduce<Amounts>((sum, each) => add(sum, of(each)), sidecars)
  return add(maximum(most, running), amountsOf(overhead))
}

function lastFinish(status: Pod['status']): string | undefined {
  const ends = (status?.containerStatuses ?? []).map(({ state }) => state?.terminated?.finishedAt ?? '')
  return ends.sort().at(-1) || undefined
}

/** Whether the node would take the pod at all, room aside. Affinity to other pods, volumes and topology are not looked at. */
export function admits(node: Node, { nodeSelector = {}, tolerations = [], affinity }: PodView['spec']): boolean {
  const labels = node.metadata.labels ?? {}
  if (node.spec?.unschedulable === true || !isTrue(node.status?.conditions, 'Ready')) return false
  if (Object.entries(nodeSelector).some(([key, value]) => labels[key] !== value)) return false
  const tainted = (node.spec?.taints ?? []).some(
    (taint) =>
      taint.effect !== 'PreferNoSchedule' &&
      !tolerations.some(
        ({ key, operator = 'Equal', value = '', effect }) =>
          (effect === undefined || effect === taint.effect) &&
          (key === undefined ? operator === 'Exists' : key === taint.key) &&
          (operator === 'Exists' || value === (taint.value ?? '')),
      ),
  )
  if (tainted) return false
  const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms
  return terms === undefined || terms.some((term) => matches(labels, term))
}

type Term = NonNullable<
  NonNullable<NonNullable<PodSpec['affinity']>['nodeAffinity']>['requiredDuringSchedulingIgnoredDuringExecution']
>['nodeSelectorTerms'][number]

function matches(labels: Readonly<Record<string, string>>, { matchExpressions = [] }: Term): boolean {
  return matchExpressions.every(({ key, operator, values = [] }) => {
    const value = labels[key]
    switch (operator) {
      case 'In':
        return value !== undefined && values.includes(value)
      case 'NotIn':
        return value === undefined || !values.includes(value)
      case 'Exists':
        return value !== undefined
      case 'DoesNotExist':
        return value === undefined
      case 'Gt':
        return Number(value) > Number(values[0])
      case 'Lt':
        return Number(value) < Number(values[0])
      default:
        return operator satisfies never
    }
  })
}

/** Drops of a pod what no view needs: there are many, and all are kept. */
export function slimPod(pod: Live<Pod>): Live<Pod> {
  const { metadata, spec, status } = pod
  const { name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp, labels } = metadata
  const kept = Object.entries(labels ?? {}).filter(([key]) => key === serviceLabel || key === multiKueueLabel)
  const containers = (list: readonly Container[] | undefined) =>
    (list ?? []).map(({ name, resources }) => ({ name, ...(resources !== undefined && { resources }) }))
  const conditions = (status?.conditions ?? []).filter(
    ({ type }) => type === 'PodScheduled' || type === 'DisruptionTarget',
  )
  const slim: Record<string, unknown> = {
    apiVersion: pod.apiVersion,
    kind: pod.kind,
    metadata: {
      name,
      namespace,
      uid,
      resourceVersion,
      creationTimestamp,
      deletionTimestamp,
      labels: Object.fromEntries(kept),
    },
    spec: {
      containers: containers(spec.containers),
      initContainers: (spec.initContainers ?? []).map(({ name, resources, restartPolicy }) => ({
        name,
        resources,
        restartPolicy,
      })),
      nodeName: spec.nodeName,
      nodeSelector: spec.nodeSelector,
      tolerations: spec.tolerations,
      affinity: spec.affinity?.nodeAffinity === undefined ? undefined : { nodeAffinity: spec.affinity.nodeAffinity },
      priority: spec.priority,
      schedulingGates: spec.schedulingGates,
      overhead: spec.overhead,
    },
    status: {
      phase: status?.phase,
      startTime: status?.startTime,
      nominatedNodeName: status?.nominatedNodeName,
      conditions: conditions.map(({ type, status, reason, lastTransitionTime }) => ({
        type,
        status,
        reason,
        lastTransitionTime,
      })),
      containerStatuses: (status?.containerStatuses ?? [])
        .filter(({ state }) => state?.terminated !== undefined)
        .map(({ name, state }) => ({ name, state: { terminated: { finishedAt: state?.terminated?.finishedAt } } })),
    },
  }
  // The same pod with fewer fields: what is left is as the API server sent it.
  return slim as unknown as Live<Pod>
}
