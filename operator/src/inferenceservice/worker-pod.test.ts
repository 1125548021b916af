import { expect, test } from 'vitest'
import { inferenceService, withGpus, withSpec } from '../../../test/builders/inference-service.ts'
import { model, withSource } from '../../../test/builders/model.ts'
import { type InferenceService, serveSettingsSchema, workerModelSchema } from '../api/inference-service.ts'
import { parseLease } from '../guestlease/lease.ts'
import { workerDeployment, workerNetworkPolicy } from './children.ts'
import { leaseAnnotation, leaseConfigMap } from './lease-config.ts'
import { revisionOf } from './revision.ts'
import { servedNameAs } from './served-name.ts'
import type { WorkerSettings } from './settings.ts'
import { wholeCpus, workerPod } from './worker-pod.ts'

const settings: WorkerSettings = {
  workerImage: 'worker:1',
  imagePullPolicy: 'IfNotPresent',
  imagePullSecrets: [],
  allowedDomains: [],
  systemNamespace: 'hansa-system',
  trustDomain: 'td',
  caPem: 'CA',
  caUrl: 'https://ca:9443',
  fetchUrl: 'https://fetch:8444',
  gatewayUrl: 'https://gw',
}

const build = (service = inferenceService('chat'), of = model('chat-v1')) =>
  workerPod(service, of, 'model.onnx', settings)
const env = (template = build(), container = 'serve') =>
  Object.fromEntries(
    [...(template.spec.initContainers ?? []), ...template.spec.containers]
      .find(({ name }) => name === container)
      ?.env?.map(({ name, value }) => [name, value]) ?? [],
  )

test('every container meets the restricted Pod Security Standard and no API token is mounted', () => {
  const { spec } = build()
  expect(spec.automountServiceAccountToken).toBe(false)
  expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    expect(container.securityContext).toMatchObject({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
  }
})

test('workers are told their settings in the form that they parse', () => {
  expect(serveSettingsSchema.parse(JSON.parse(env().HANSA_SERVE ?? ''))).toMatchObject({
    modelName: 'chat',
    executionProvider: { type: 'CPU' },
  })
  expect(workerModelSchema.parse(JSON.parse(env(undefined, 'pull').HANSA_MODEL ?? '')).files).toHaveLength(1)
})

test('Auto means CUDA where a GPU is asked for', () => {
  const gpu = env(build(inferenceService('chat', withGpus(1))))
  expect(JSON.parse(gpu.HANSA_SERVE ?? '').executionProvider.type).toBe('CUDA')
})

test('pull alone is told of the cache of its node, and only where there is one and the files come from fetch', () => {
  const withCache = (of = model('chat-v1')) =>
    workerPod(inferenceService('chat'), of, 'model.onnx', { ...settings, cacheUrl: 'https://cache:8444' })
  const told = { HANSA_CACHE_URL: 'https://cache:8444', HANSA_CACHE_URI: 'spiffe://td/ns/hansa-system/sa/hansa-cache' }
  expect(env(withCache(), 'pull')).toMatchObject(told)
  expect(env(withCache(), 'serve')).not.toHaveProperty('HANSA_CACHE_URL')
  expect(env(build(), 'pull')).not.toHaveProperty('HANSA_CACHE_URL')
  const claimed = model('chat-v1', withSource({ pvc: { claimName: 'weights', path: 'v3' } }))
  expect(env(withCache(claimed), 'pull')).not.toHaveProperty('HANSA_CACHE_URL')
})

test('a model on a claim is mounted read-only into pull alone', () => {
  const template = build(undefined, model('chat-v1', withSource({ pvc: { claimName: 'weights', path: 'v3' } })))
  expect(template.spec.volumes).toContainEqual({
    name: 'source',
    persistentVolumeClaim: { claimName: 'weights', readOnly: true },
  })
  expect(env(template, 'pull').HANSA_SOURCE_DIR).toMatch(/\/v3$/)
  expect(template.spec.containers[0]?.volumeMounts?.some(({ name }) => name === 'source')).toBe(false)
})

test('access and scaling make no new revision, resources do, and key order does not', () => {
  const base = revisionOf(build())
  expect(
    revisionOf(
      build(inferenceService('chat', withSpec({ access: { serviceAccounts: [{ namespace: 'a', name: 'b' }] } }))),
    ),
  ).toBe(base)
  expect(revisionOf(build(inferenceService('chat', withSpec({ resources: { limits: { memory: '1Gi' } } }))))).not.toBe(
    base,
  )
  const a = revisionOf(build(inferenceService('chat', withSpec({ nodeSelector: { a: '1', b: '2' } }))))
  const b = revisionOf(build(inferenceService('chat', withSpec({ nodeSelector: { b: '2', a: '1' } }))))
  expect(a).toBe(b)
})

test.each([
  ['500m', 1],
  ['1500m', 2],
  ['2', 2],
  ['0.5', 1],
  ['nonsense', 1],
])('%s of CPU are %d whole processors', (quantity, cpus) => {
  expect(wholeCpus(quantity)).toBe(cpus)
})

test('a worker is told where spans go only if the receiver is in the cluster, and its NetworkPolicy lets it there', () => {
  const told = (otlpEndpoint: string) =>
    env(workerPod(inferenceService('chat'), model('chat-v1'), 'model.onnx', { ...settings, otlpEndpoint }))
  const inside = 'http://collector.observability.svc:4318/v1/traces'
  const outside = 'https://otlp.example.com/v1/traces'
  expect(told(inside).HANSA_OTLP_ENDPOINT).toBe(inside)
  expect(told(outside)).not.toHaveProperty('HANSA_OTLP_ENDPOINT')
  expect(env()).not.toHaveProperty('HANSA_OTLP_ENDPOINT')
  const ways = (otlpEndpoint?: string) =>
    workerNetworkPolicy(inferenceService('chat'), {
      systemNamespace: 'hansa-system',
      ...(otlpEndpoint !== undefined && { otlpEndpoint }),
    }).spec?.egress
  expect(ways(outside)).toEqual(ways())
  expect(ways(inside)).toEqual([
    ...(ways() ?? []),
    {
      to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'observability' } } }],
      ports: [{ protocol: 'TCP', port: 4318 }],
    },
  ])
})

test('a guest mounts its lease in the serving container alone; the pods of others stay as they are', () => {
  const plain = build()
  const guest = inferenceService('chat')
  guest.metadata.labels = { ...guest.metadata.labels, 'hansa.dev/guest-work': 'request-1' }
  const template = build(guest)
  expect(template.spec.volumes?.at(-1)).toEqual({
    name: 'lease',
    configMap: { name: 'chat-lease', items: [{ key: 'lease.json', path: 'lease.json' }] },
  })
  expect(template.spec.containers[0]?.volumeMounts?.at(-1)).toEqual({
    name: 'lease',
    mountPath: '/var/run/hansa/lease',
    readOnly: true,
  })
  expect(template.spec.initContainers?.[0]?.volumeMounts?.some(({ name }) => name === 'lease')).toBe(false)
  expect(env(template).HANSA_LEASE_FILE).toBe('/var/run/hansa/lease/lease.json')
  expect(env(plain).HANSA_LEASE_FILE).toBeUndefined()
  expect(plain.spec.volumes?.some(({ name }) => name === 'lease')).toBe(false)
  guest.metadata.labels['hansa.dev/guest-work'] = 'request-2'
  expect(revisionOf(build(guest))).toBe(revisionOf(template))
})

test('a guest serves under the name that users of the requester say; others under their own', () => {
  const modelName = (service: InferenceService) =>
    serveSettingsSchema.parse(JSON.parse(env(build(service)).HANSA_SERVE ?? '')).modelName
  const guest = inferenceService('g-0123')
  guest.metadata.annotations = servedNameAs('chat')
  expect(modelName(guest)).toBe('g-0123')
  guest.metadata.labels = { ...guest.metadata.labels, 'hansa.dev/guest-work': 'request-1' }
  expect(modelName(guest)).toBe('chat')
  guest.metadata.annotations = servedNameAs(undefined)
  expect(modelName(guest)).toBe('g-0123')
})

test('priority class and queue reach the pods, and make a revision only where they are set', () => {
  // Fixed: a new revision would restart the workers of every service at the next update of the operator.
  expect(revisionOf(build())).toBe('0fff4166')
  const service = inferenceService('chat', withSpec({ priorityClassName: 'low', queueName: 'nights' }))
  const template = build(service)
  expect(template.spec.priorityClassName).toBe('low')
  const deployment = workerDeployment(service, 'r1', template, 1)
  expect(deployment.spec?.template?.metadata?.labels).toMatchObject({
    'kueue.x-k8s.io/queue-name': 'nights',
    'hansa.dev/revision': 'r1',
  })
  expect(deployment.spec?.selector?.matchLabels).not.toHaveProperty(['kueue.x-k8s.io/queue-name'])
})

test('the ConfigMap of a lease goes with its service and says the same as the annotation', () => {
  const lease = { epoch: 3, renewals: 1, ttlSeconds: 30, expires: '2026-11-23T00:00:00.000Z' }
  const config = leaseConfigMap({ namespace: 'guests', service: 'chat', serviceUid: 'u', ...lease })
  expect(config.metadata).toMatchObject({ name: 'chat-lease', namespace: 'guests' })
  expect(config.metadata.ownerReferences).toMatchObject([{ kind: 'InferenceService', name: 'chat', uid: 'u' }])
  expect(config.data).toEqual({ 'lease.json': leaseAnnotation(lease)['hansa.dev/lease'] })
  expect(parseLease(config.data?.['lease.json'])).toEqual(lease)
})
