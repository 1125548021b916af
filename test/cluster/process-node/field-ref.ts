import type { ContainerSpec, Pod, ResourceSelector } from './kube-types.ts'
import { inDivisors } from './quantity.ts'

/** What the node knows of a pod before the API server does. */
export interface PodAddresses {
  readonly podIp: string
  readonly hostIp: string
  /** For resource fields without a limit. */
  readonly allocatable: Readonly<Record<string, string>>
}

/** The value of a downward API field; undefined where it is none that we know. */
export function fieldValue(pod: Pod, addresses: PodAddresses, fieldPath: string): string | undefined {
  const { metadata, spec } = pod
  const subscript = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(fieldPath)
  if (subscript) {
    const [, map, key = ''] = subscript
    return (map === 'labels' ? metadata.labels : metadata.annotations)?.[key] ?? ''
  }
  switch (fieldPath) {
    case 'metadata.name':
      return metadata.name
    case 'metadata.namespace':
      return metadata.namespace ?? ''
    case 'metadata.uid':
      return metadata.uid
    case 'metadata.labels':
      return formatMap(metadata.labels)
    case 'metadata.annotations':
      return formatMap(metadata.annotations)
    case 'spec.nodeName':
      return spec.nodeName ?? ''
    case 'spec.serviceAccountName':
      return spec.serviceAccountName ?? ''
    case 'status.podIP':
    case 'status.podIPs':
      return addresses.podIp
    case 'status.hostIP':
    case 'status.hostIPs':
      return addresses.hostIp
    default:
      return undefined
  }
}

/** The value of `limits.cpu` and its like, in whole divisors. */
export function resourceValue(
  pod: Pod,
  addresses: PodAddresses,
  selector: ResourceSelector,
  container?: ContainerSpec,
): string | undefined {
  const all = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]
  const target = selector.containerName ? all.find(({ name }) => name === selector.containerName) : container
  const [kind, ...rest] = selector.resource.split('.')
  const resource = rest.join('.')
  if (!target || (kind !== 'limits' && kind !== 'requests')) return undefined
  const fallback = kind === 'limits' ? addresses.allocatable[resource] : undefined
  // kubectl may send a number where the API server hands out a string; the divisor "0" means "1".
  const divisor = selector.divisor && selector.divisor !== '0' ? selector.divisor : '1'
  return inDivisors(target.resources?.[kind]?.[resource] ?? fallback ?? '0', divisor)
}

function formatMap(map: Readonly<Record<string, string>> = {}): string {
  return Object.entries(map)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n')
}
