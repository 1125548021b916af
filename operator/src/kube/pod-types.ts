import type { Condition, KubeObject } from '../api/resource.ts'

/** Quantities by resource name, such as `{"nvidia.com/gpu": "1"}`. */
export type ResourceList = Record<string, string>

export type EnvVar = {
  name: string
  value?: string
  valueFrom?: {
    fieldRef?: { apiVersion?: string; fieldPath: string }
    configMapKeyRef?: { name: string; key: string; optional?: boolean }
    secretKeyRef?: { name: string; key: string; optional?: boolean }
  }
}

export type Probe = {
  httpGet?: { path: string; port: number | string; scheme?: 'HTTP' | 'HTTPS'; host?: string }
  exec?: { command: string[] }
  tcpSocket?: { port: number | string }
  initialDelaySeconds?: number
  periodSeconds?: number
  timeoutSeconds?: number
  successThreshold?: number
  failureThreshold?: number
}

export type SecurityContext = {
  allowPrivilegeEscalation?: boolean
  capabilities?: { add?: string[]; drop?: string[] }
  privileged?: boolean
  readOnlyRootFilesystem?: boolean
  runAsGroup?: number
  runAsNonRoot?: boolean
  runAsUser?: number
  seccompProfile?: { type: 'RuntimeDefault' | 'Unconfined' | 'Localhost'; localhostProfile?: string }
}

export type Container = {
  name: string
  image?: string
  imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never'
  command?: string[]
  args?: string[]
  workingDir?: string
  env?: EnvVar[]
  ports?: { name?: string; containerPort: number; protocol?: 'TCP' | 'UDP' }[]
  resources?: { limits?: ResourceList; requests?: ResourceList; claims?: { name: string; request?: string }[] }
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean; subPath?: string }[]
  livenessProbe?: Probe
  readinessProbe?: Probe
  startupProbe?: Probe
  lifecycle?: { preStop?: { exec?: { command: string[] }; sleep?: { seconds: number } } }
  terminationMessagePath?: string
  terminationMessagePolicy?: 'File' | 'FallbackToLogsOnError'
  securityContext?: SecurityContext
}

export type VolumeProjection = {
  serviceAccountToken?: { audience?: string; expirationSeconds?: number; path: string }
  configMap?: { name: string; items?: { key: string; path: string; mode?: number }[]; optional?: boolean }
  secret?: { name: string; items?: { key: string; path: string; mode?: number }[]; optional?: boolean }
  downwardAPI?: { items?: { path: string; fieldRef: { fieldPath: string } }[] }
}

export type Volume = {
  name: string
  emptyDir?: { medium?: '' | 'Memory'; sizeLimit?: string }
  hostPath?: { path: string; type?: string }
  configMap?: { name: string; items?: { key: string; path: string; mode?: number }[]; defaultMode?: number }
  secret?: { secretName: string; items?: { key: string; path: string; mode?: number }[]; defaultMode?: number }
  persistentVolumeClaim?: { claimName: string; readOnly?: boolean }
  projected?: { sources: VolumeProjection[]; defaultMode?: number }
}

export type Toleration = {
  key?: string
  operator?: 'Exists' | 'Equal'
  value?: string
  effect?: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute'
  tolerationSeconds?: number
}

export type LabelSelector = {
  matchLabels?: Record<string, string>
  matchExpressions?: { key: string; operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'; values?: string[] }[]
}

export type NodeSelectorTerm = {
  matchExpressions?: {
    key: string
    operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt'
    values?: string[]
  }[]
  matchFields?: unknown[]
}
export type NodeAffinity = {
  requiredDuringSchedulingIgnoredDuringExecution?: { nodeSelectorTerms: NodeSelectorTerm[] }
}

export type PodSpec = {
  containers: Container[]
  initContainers?: (Container & { restartPolicy?: 'Always' })[]
  volumes?: Volume[]
  nodeName?: string
  nodeSelector?: Record<string, string>
  tolerations?: Toleration[]
  runtimeClassName?: string
  priorityClassName?: string
  priority?: number
  schedulingGates?: { name: string }[]
  overhead?: ResourceList
  affinity?: { nodeAffinity?: NodeAffinity }
  restartPolicy?: 'Always' | 'OnFailure' | 'Never'
  serviceAccountName?: string
  automountServiceAccountToken?: boolean
  enableServiceLinks?: boolean
  terminationGracePeriodSeconds?: number
  activeDeadlineSeconds?: number
  imagePullSecrets?: { name: string }[]
  topologySpreadConstraints?: {
    maxSkew: number
    topologyKey: string
    whenUnsatisfiable: 'DoNotSchedule' | 'ScheduleAnyway'
    labelSelector?: LabelSelector
  }[]
  securityContext?: {
    fsGroup?: number
    runAsGroup?: number
    runAsNonRoot?: boolean
    runAsUser?: number
    seccompProfile?: { type: 'RuntimeDefault' | 'Unconfined' | 'Localhost'; localhostProfile?: string }
  }
}

/** Metadata of a pod template. */
export type TemplateMetadata = { labels?: Record<string, string>; annotations?: Record<string, string> }

export type PodTemplate = { metadata?: TemplateMetadata; spec: PodSpec }

export type ContainerStatus = {
  name: string
  ready: boolean
  started?: boolean
  restartCount: number
  image?: string
  state?: ContainerState
  lastState?: ContainerState
}

export type ContainerState = {
  waiting?: { reason?: string; message?: string }
  running?: { startedAt?: string }
  terminated?: {
    exitCode: number
    reason?: string
    message?: string
    signal?: number
    startedAt?: string
    finishedAt?: string
  }
}

/** A condition of a built-in kind: unlike ours, most of its fields may be missing. */
export type NativeCondition = Pick<Condition, 'type' | 'status'> & {
  reason?: string
  message?: string
  lastTransitionTime?: string
}

export type Pod = KubeObject & {
  spec: PodSpec
  status?: {
    phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown'
    reason?: string
    message?: string
    podIP?: string
    podIPs?: { ip: string }[]
    hostIP?: string
    startTime?: string
    nominatedNodeName?: string
    conditions?: NativeCondition[]
    initContainerStatuses?: ContainerStatus[]
    containerStatuses?: ContainerStatus[]
  }
}
