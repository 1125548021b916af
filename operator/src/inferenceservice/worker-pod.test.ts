import { expect, test } from 'vitest'
import { inferenceService, withGpus, withSpec } from '../../../test/builders/inference-service.ts'
import { model, withSource } from '../../../test/builders/model.ts'
import { serveSettingsSchema, workerModelSchema } from '../api/inference-service.ts'
import { workerNetworkPolicy } from './children.ts'
import { revisionOf } from './revision.ts'
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
