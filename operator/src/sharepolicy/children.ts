import { apiVersion, type OwnerReference } from '../api/resource.ts'
import type { SharePolicy } from '../api/share-policy.ts'
import type { NetworkPolicy, ResourceQuota } from '../kube/builtin.ts'
import type { Applied } from '../kube/client-types.ts'

export const policyLabel = 'hansa.dev/share-policy'

/** Name of what a SharePolicy has in its target namespace. */
export const childName = (policy: string) => `hansa-${policy}`

/**
 * The quota of the target namespace. Kubernetes counts what pods request; guests request all that they may use, so requests bound
 * both, also for resources that know requests alone, such as GPUs.
 */
export function resourceQuota(policy: SharePolicy): Applied<ResourceQuota> {
  const hard = Object.fromEntries(
    Object.entries(policy.spec.quota).map(([name, quantity]) => [`requests.${name}`, quantity]),
  )
  return { apiVersion: 'v1', kind: 'ResourceQuota', metadata: childMetadata(policy), spec: { hard } }
}

/** Nothing in or out for any pod of the target namespace; each service's own policy opens what its workers need. */
export function denyAll(policy: SharePolicy): Applied<NetworkPolicy> {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: childMetadata(policy),
    spec: { podSelector: {}, policyTypes: ['Ingress', 'Egress'] },
  }
}

function childMetadata(policy: SharePolicy) {
  const owner: OwnerReference = {
    apiVersion,
    kind: 'SharePolicy',
    name: policy.metadata.name,
    uid: policy.metadata.uid ?? '',
    controller: true,
  }
  return {
    name: childName(policy.metadata.name),
    namespace: policy.spec.targetNamespace,
    labels: {
      'app.kubernetes.io/name': 'hansa',
      'app.kubernetes.io/component': 'guests',
      'app.kubernetes.io/managed-by': 'hansa',
      [policyLabel]: policy.metadata.name,
    },
    ownerReferences: [owner],
  }
}
