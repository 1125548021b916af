import type { KubeObject } from '../api/resource.ts'
import type { LabelSelector, NativeCondition, Pod, PodTemplate } from './pod-types.ts'
import { defineResource } from './resource.ts'

/** The parts of Kubernetes' own kinds that Hansa reads or writes; everything else of an object is kept, but has no type. */
export type Deployment = KubeObject & {
  spec: {
    replicas?: number
    revisionHistoryLimit?: number
    progressDeadlineSeconds?: number
    minReadySeconds?: number
    paused?: boolean
    selector: LabelSelector
    strategy?: {
      type?: 'RollingUpdate' | 'Recreate'
      rollingUpdate?: { maxSurge?: number | string; maxUnavailable?: number | string }
    }
    template: PodTemplate
  }
  status?: {
    observedGeneration?: number
    replicas?: number
    readyReplicas?: number
    updatedReplicas?: number
    availableReplicas?: number
    unavailableReplicas?: number
    conditions?: NativeCondition[]
  }
}

export type Job = KubeObject & {
  spec: {
    parallelism?: number
    completions?: number
    backoffLimit?: number
    podFailurePolicy?: {
      rules: { action: 'FailJob' | 'Ignore' | 'Count'; onExitCodes?: { operator: 'In' | 'NotIn'; values: number[] } }[]
    }
    activeDeadlineSeconds?: number
    ttlSecondsAfterFinished?: number
    suspend?: boolean
    template: PodTemplate
  }
  status?: {
    active?: number
    succeeded?: number
    failed?: number
    startTime?: string
    completionTime?: string
    conditions?: NativeCondition[]
  }
}

export type ServiceAccount = KubeObject & {
  automountServiceAccountToken?: boolean
  imagePullSecrets?: { name: string }[]
}

export type NetworkPolicyPeer = {
  podSelector?: LabelSelector
  namespaceSelector?: LabelSelector
  ipBlock?: { cidr: string; except?: string[] }
}
export type NetworkPolicyPort = { protocol?: 'TCP' | 'UDP'; port?: number | string; endPort?: number }
export type NetworkPolicy = KubeObject & {
  spec: {
    podSelector: LabelSelector
    policyTypes?: ('Ingress' | 'Egress')[]
    ingress?: { from?: NetworkPolicyPeer[]; ports?: NetworkPolicyPort[] }[]
    egress?: { to?: NetworkPolicyPeer[]; ports?: NetworkPolicyPort[] }[]
  }
}

export type ConfigMap = KubeObject & {
  immutable?: boolean
  data?: Record<string, string>
  binaryData?: Record<string, string>
}

export type Secret = KubeObject & {
  immutable?: boolean
  type?: string
  /** Values in base64. */
  data?: Record<string, string>
  stringData?: Record<string, string>
}

export type Lease = KubeObject & {
  spec?: {
    holderIdentity?: string
    leaseDurationSeconds?: number
    acquireTime?: string
    renewTime?: string
    leaseTransitions?: number
  }
}

export type ObjectReference = {
  apiVersion?: string
  kind?: string
  namespace?: string
  name?: string
  uid?: string
  resourceVersion?: string
  fieldPath?: string
}

/** An event of `events.k8s.io/v1`. */
export type Event = KubeObject & {
  eventTime: string
  type: 'Normal' | 'Warning'
  reason: string
  action: string
  note?: string
  regarding?: ObjectReference
  related?: ObjectReference
  reportingController: string
  reportingInstance: string
  series?: { count: number; lastObservedTime: string }
}

export type Namespace = KubeObject & { spec?: { finalizers?: string[] }; status?: { phase?: 'Active' | 'Terminating' } }

export type Taint = { key: string; value?: string; effect: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute' }
export type Node = KubeObject & {
  spec?: { unschedulable?: boolean; taints?: Taint[] }
  status?: { allocatable?: Record<string, string>; conditions?: NativeCondition[] }
}

export type ResourceQuota = KubeObject & {
  spec: { hard?: Record<string, string> }
  status?: { hard?: Record<string, string>; used?: Record<string, string> }
}

export type PriorityClass = KubeObject & { value: number; globalDefault?: boolean; preemptionPolicy?: string }

export type TokenReview = KubeObject & {
  spec: { token: string; audiences?: string[] }
  status?: {
    authenticated?: boolean
    error?: string
    audiences?: string[]
    user?: { username?: string; uid?: string; groups?: string[]; extra?: Record<string, string[]> }
  }
}

/** Body and answer of the subresource `serviceaccounts/token`. */
export type TokenRequest = KubeObject & {
  spec: {
    audiences: string[]
    expirationSeconds?: number
    boundObjectRef?: { apiVersion: string; kind: string; name: string; uid?: string }
  }
  status?: { token: string; expirationTimestamp: string }
}

const core = { group: '', version: 'v1', namespaced: true }

export const pods = defineResource<Pod>({ ...core, plural: 'pods', kind: 'Pod' })
export const serviceAccounts = defineResource<ServiceAccount>({
  ...core,
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
})
export const configMaps = defineResource<ConfigMap>({ ...core, plural: 'configmaps', kind: 'ConfigMap' })
export const secrets = defineResource<Secret>({ ...core, plural: 'secrets', kind: 'Secret' })
export const namespaces = defineResource<Namespace>({
  ...core,
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
})
export const nodes = defineResource<Node>({ ...core, plural: 'nodes', kind: 'Node', namespaced: false })
export const resourceQuotas = defineResource<ResourceQuota>({
  ...core,
  plural: 'resourcequotas',
  kind: 'ResourceQuota',
})
export const priorityClasses = defineResource<PriorityClass>({
  group: 'scheduling.k8s.io',
  version: 'v1',
  plural: 'priorityclasses',
  kind: 'PriorityClass',
  namespaced: false,
})
export const deployments = defineResource<Deployment>({
  group: 'apps',
  version: 'v1',
  plural: 'deployments',
  kind: 'Deployment',
  namespaced: true,
})
export const jobs = defineResource<Job>({
  group: 'batch',
  version: 'v1',
  plural: 'jobs',
  kind: 'Job',
  namespaced: true,
})
export const networkPolicies = defineResource<NetworkPolicy>({
  group: 'networking.k8s.io',
  version: 'v1',
  plural: 'networkpolicies',
  kind: 'NetworkPolicy',
  namespaced: true,
})
export const leases = defineResource<Lease>({
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
})
export const events = defineResource<Event>({
  group: 'events.k8s.io',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced: true,
})
export const tokenReviews = defineResource<TokenReview>({
  group: 'authentication.k8s.io',
  version: 'v1',
  plural: 'tokenreviews',
  kind: 'TokenReview',
  namespaced: false,
})
