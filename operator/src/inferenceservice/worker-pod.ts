import type { InferenceService, ServeSettings, WorkerModel } from '../api/inference-service.ts'
import type { Model } from '../api/model.ts'
import { guestWorkLabel, leaseKey } from '../guestlease/lease.ts'
import { spiffe } from '../identity/spiffe.ts'
import type { Container, EnvVar, PodSpec, PodTemplate, SecurityContext, Volume } from '../kube/pod-types.ts'
import { reachableByWorkers } from '../process/tracing/otlp-endpoint.ts'
import { leaseDir, leaseVolume } from './lease-config.ts'
import { queueLabel, serviceLabels, workerServiceAccount } from './names.ts'
import { servedName } from './served-name.ts'
import type { WorkerSettings } from './settings.ts'

const modelDir = '/var/run/hansa/model'
const sourceDir = '/var/run/hansa/source'
const stateDir = '/var/run/hansa/state'
const tokenDir = '/var/run/hansa/token'

/** Restricted Pod Security, for every container that Hansa starts. */
export const restricted: SecurityContext = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
}

export const restrictedPod: NonNullable<PodSpec['securityContext']> = {
  runAsNonRoot: true,
  runAsUser: 65532,
  runAsGroup: 65532,
  fsGroup: 65532,
  seccompProfile: { type: 'RuntimeDefault' },
}

/** The pod template of a service's workers for one model; everything that makes a new revision is in it. */
export function workerPod(
  service: InferenceService,
  model: Model,
  entrypoint: string,
  settings: WorkerSettings,
): PodTemplate {
  const { spec } = service
  const pvc = model.spec.source.pvc
  return {
    metadata: {
      labels: {
        ...serviceLabels(service.metadata.name),
        ...(spec.queueName !== undefined && { [queueLabel]: spec.queueName }),
      },
    },
    spec: {
      serviceAccountName: workerServiceAccount(service.metadata.name),
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: restrictedPod,
      terminationGracePeriodSeconds: spec.timeouts.drainSeconds + 10,
      ...(settings.imagePullSecrets.length > 0 && {
        imagePullSecrets: settings.imagePullSecrets.map((name) => ({ name })),
      }),
      ...(spec.nodeSelector !== undefined && { nodeSelector: spec.nodeSelector }),
      ...(spec.tolerations !== undefined && { tolerations: spec.tolerations.map(toleration) }),
      ...(spec.runtimeClassName !== undefined && { runtimeClassName: spec.runtimeClassName }),
      ...(spec.priorityClassName !== undefined && { priorityClassName: spec.priorityClassName }),
      initContainers: [pull(service, model, settings)],
      containers: [serve(service, model, entrypoint, settings)],
      volumes: [
        { name: 'model', emptyDir: {} },
        { name: 'state', emptyDir: { sizeLimit: '16Mi' } },
        { name: 'tmp', emptyDir: { sizeLimit: '256Mi' } },
        {
          name: 'token',
          projected: {
            sources: [{ serviceAccountToken: { audience: 'hansa-ca', expirationSeconds: 3600, path: 'token' } }],
          },
        },
        ...(pvc === undefined ? [] : [sourceVolume(pvc.claimName)]),
        ...(isGuest(service) ? [leaseVolume(service.metadata.name)] : []),
      ],
    },
  }
}

/**
 * Whether the service was made for another owner. Whoever labels a service of his own so takes from it its workers, which wait for a
 * lease that nobody writes, and gains nothing.
 */
export function isGuest({ metadata }: Pick<InferenceService, 'metadata'>): boolean {
  return metadata.labels?.[guestWorkLabel] !== undefined
}

export function sourceVolume(claimName: string): Volume {
  return { name: 'source', persistentVolumeClaim: { claimName, readOnly: true } }
}

/** Mount and environment that let a container read and check a model's files on a claim. */
export function sourceAccess(
  path: string,
  allowedDomains: readonly string[],
): {
  mount: { name: string; mountPath: string; readOnly: boolean }
  env: EnvVar[]
} {
  return {
    mount: { name: 'source', mountPath: sourceDir, readOnly: true },
    env: [
      { name: 'HANSA_SOURCE_DIR', value: path === '' ? sourceDir : `${sourceDir}/${path}` },
      ...(allowedDomains.length > 0 ? [{ name: 'HANSA_ALLOWED_DOMAINS', value: allowedDomains.join(',') }] : []),
    ],
  }
}

/** What a worker is told about its model. */
export function workerModel(model: Model): WorkerModel {
  return {
    namespace: model.metadata.namespace ?? '',
    name: model.metadata.name,
    uid: model.metadata.uid ?? '',
    format: model.spec.format,
    files: model.spec.files.map(({ path, sha256, sizeBytes }) => ({ path, sha256, sizeBytes })),
  }
}

function pull(service: InferenceService, model: Model, settings: WorkerSettings): Container {
  const { pvc } = model.spec.source
  const source = pvc === undefined ? undefined : sourceAccess(pvc.path, settings.allowedDomains)
  return {
    ...common(settings),
    name: 'pull',
    args: ['pull'],
    env: [
      ...commonEnv(model, settings),
      { name: 'HANSA_FETCH_URL', value: settings.fetchUrl },
      { name: 'HANSA_FETCH_URI', value: spiffe(settings.trustDomain, settings.systemNamespace, 'hansa-fetch') },
      ...(settings.cacheUrl === undefined || pvc !== undefined ? [] : cacheEnv(settings.cacheUrl, settings)),
      ...(model.spec.entrypoint === undefined ? [] : [{ name: 'HANSA_ENTRYPOINT', value: model.spec.entrypoint }]),
      { name: 'HANSA_PULL_TIMEOUT_SECONDS', value: String(service.spec.timeouts.loadSeconds) },
      ...(source?.env ?? []),
    ],
    resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { cpu: '1', memory: '1Gi' } },
    volumeMounts: [
      ...mounts(),
      { name: 'model', mountPath: modelDir },
      ...(source === undefined ? [] : [source.mount]),
    ],
  }
}

function cacheEnv(url: string, { trustDomain, systemNamespace }: WorkerSettings): EnvVar[] {
  return [
    { name: 'HANSA_CACHE_URL', value: url },
    { name: 'HANSA_CACHE_URI', value: spiffe(trustDomain, systemNamespace, 'hansa-cache') },
  ]
}

function serve(service: InferenceService, model: Model, entrypoint: string, settings: WorkerSettings): Container {
  const { spec } = service
  const { requests, limits } = spec.resources
  const cpus = limits?.cpu ?? requests?.cpu
  const { otlpEndpoint } = settings
  // Workers have no way out of the cluster, and get none for traces.
  const tracesTo = otlpEndpoint !== undefined && reachableByWorkers(otlpEndpoint) ? otlpEndpoint : undefined
  return {
    ...common(settings),
    name: 'serve',
    args: ['serve'],
    env: [
      ...commonEnv(model, settings),
      { name: 'HANSA_SERVE', value: JSON.stringify(serveSettings(service, model, entrypoint)) },
      { name: 'HANSA_GATEWAY_URI', value: spiffe(settings.trustDomain, settings.systemNamespace, 'hansa-gateway') },
      ...(cpus === undefined ? [] : [{ name: 'HANSA_CPUS', value: String(wholeCpus(cpus)) }]),
      ...(tracesTo === undefined ? [] : [{ name: 'HANSA_OTLP_ENDPOINT', value: tracesTo }]),
      ...(spec.sessions === undefined ? [] : [{ name: 'HANSA_SESSIONS', value: String(spec.sessions) }]),
      ...(isGuest(service) ? [{ name: 'HANSA_LEASE_FILE', value: `${leaseDir}/${leaseKey}` }] : []),
    ],
    ports: [
      { name: 'https', containerPort: 8443 },
      { name: 'grpc', containerPort: 8444 },
      { name: 'probes', containerPort: 8081 },
    ],
    resources: { ...(requests !== undefined && { requests }), ...(limits !== undefined && { limits }) },
    volumeMounts: [
      ...mounts(),
      { name: 'model', mountPath: modelDir, readOnly: true },
      ...(isGuest(service) ? [{ name: 'lease', mountPath: leaseDir, readOnly: true }] : []),
    ],
    // A model that loads keeps the kubelet waiting for loadSeconds at most; after that the container is restarted.
    startupProbe: probe('/readyz', 1, spec.timeouts.loadSeconds),
    readinessProbe: probe('/readyz', 1, 2),
    livenessProbe: probe('/livez', 10, 3),
  }
}

function serveSettings(service: InferenceService, model: Model, entrypoint: string): ServeSettings {
  const { executionProvider, limits, timeouts, resources, batching } = service.spec
  const { embedding } = model.spec
  const wantsGpu = Object.keys(resources.limits ?? {}).some(
    (name) => name === 'nvidia.com/gpu' || name.startsWith('nvidia.com/mig-'),
  )
  const type = executionProvider.type === 'Auto' ? (wantsGpu ? 'CUDA' : 'CPU') : executionProvider.type
  return {
    modelName: servedName(service),
    modelVersion: '1',
    entrypoint,
    executionProvider: { type, onUnavailable: executionProvider.onUnavailable },
    timeouts,
    limits,
    ...(batching !== undefined && { batching }),
    ...(embedding !== undefined && { embedding }),
  }
}

/** Whole processors of a CPU quantity ("500m", "2", "1.5"), at least one. */
export function wholeCpus(quantity: string): number {
  const cpus = quantity.endsWith('m') ? Number(quantity.slice(0, -1)) / 1000 : Number(quantity)
  return Number.isFinite(cpus) ? Math.max(1, Math.ceil(cpus)) : 1
}

function common(
  settings: WorkerSettings,
): Pick<
  Container,
  'image' | 'imagePullPolicy' | 'securityContext' | 'terminationMessagePath' | 'terminationMessagePolicy'
> {
  return {
    image: settings.workerImage,
    imagePullPolicy: settings.imagePullPolicy,
    securityContext: restricted,
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
  }
}

function commonEnv(model: Model, settings: WorkerSettings): EnvVar[] {
  const field = (name: string, fieldPath: string): EnvVar => ({
    name,
    valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath } },
  })
  return [
    field('POD_NAME', 'metadata.name'),
    field('POD_NAMESPACE', 'metadata.namespace'),
    field('POD_IP', 'status.podIP'),
    { name: 'HANSA_MODEL', value: JSON.stringify(workerModel(model)) },
    { name: 'HANSA_MODEL_DIR', value: modelDir },
    { name: 'HANSA_STATE_DIR', value: stateDir },
    { name: 'HANSA_TERMINATION_LOG', value: '/dev/termination-log' },
    { name: 'HANSA_TRUST_DOMAIN', value: settings.trustDomain },
    { name: 'HANSA_CA_URL', value: settings.caUrl },
    { name: 'HANSA_CA_PEM', value: settings.caPem },
    { name: 'HANSA_CA_TOKEN_FILE', value: `${tokenDir}/token` },
    { name: 'TMPDIR', value: '/tmp' },
  ]
}

function mounts(): { name: string; mountPath: string; readOnly?: boolean }[] {
  return [
    { name: 'state', mountPath: stateDir },
    { name: 'token', mountPath: tokenDir, readOnly: true },
    { name: 'tmp', mountPath: '/tmp' },
  ]
}

function probe(path: string, periodSeconds: number, failureThreshold: number) {
  return { httpGet: { path, port: 8081 }, periodSeconds, failureThreshold, timeoutSeconds: 5 }
}

/** exactOptionalPropertyTypes: zod's optional members may hold undefined, the pod's may not. */
function toleration(from: NonNullable<InferenceService['spec']['tolerations']>[number]) {
  return Object.fromEntries(Object.entries(from).filter(([, value]) => value !== undefined))
}
