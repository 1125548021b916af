import type { ContainerSpec, KubeObject, Pod } from '../process-node/kube-types.ts'
import type { Target } from './forwarder.ts'

export interface ServicePort {
  readonly name?: string
  readonly port: number
  readonly targetPort?: number | string
  readonly nodePort?: number
  readonly protocol?: string
}

export interface Service extends KubeObject {
  readonly spec: {
    readonly type?: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName'
    readonly clusterIP?: string
    readonly selector?: Readonly<Record<string, string>>
    readonly ports?: readonly ServicePort[]
    readonly publishNotReadyAddresses?: boolean
    readonly internalTrafficPolicy?: 'Cluster' | 'Local'
  }
}

/** The pods that a service may send to now: selected, with an address, Ready and not terminating. */
export function backendsOf(service: Service, pods: Iterable<Pod>): Pod[] {
  const selector = Object.entries(service.spec.selector ?? {})
  if (selector.length === 0) return []
  return [...pods].filter(({ metadata, status }) => {
    if (metadata.namespace !== service.metadata.namespace || !status?.podIP) return false
    if (status.phase === 'Succeeded' || status.phase === 'Failed') return false
    if (!selector.every(([key, value]) => metadata.labels?.[key] === value)) return false
    if (service.spec.publishNotReadyAddresses) return true
    const ready = status.conditions?.some(({ type, status: holds }) => type === 'Ready' && holds === 'True')
    return ready === true && metadata.deletionTimestamp === undefined
  })
}

/** Where a port of a service leads at a pod; undefined where the pod has no port of that name. */
export function targetAt(pod: Pod, { port, targetPort = port }: ServicePort): Target | undefined {
  const host = pod.status?.podIP
  if (!host) return undefined
  if (typeof targetPort === 'number') return { host, port: targetPort }
  const containers: readonly ContainerSpec[] = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]
  const named = containers.flatMap(({ ports = [] }) => ports).find(({ name }) => name === targetPort)
  return named && { host, port: named.containerPort }
}
