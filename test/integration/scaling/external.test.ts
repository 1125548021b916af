import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Installation, startInstallation } from '../../cluster/hansa/installation.ts'
import { type Hands, startHands } from '../operator/hands.ts'
import { model, namespace, reader, service, tenant } from '../operator/objects.ts'
import { type MetricsApi, startMetricsApi } from './metrics-api.ts'

let installation: Installation | undefined
let hands: Hands | undefined
let metrics: MetricsApi | undefined
const it = () => {
  if (hands === undefined || metrics === undefined) throw new Error('the installation did not start')
  return { ...hands, metrics }
}
const timeout = 300_000

beforeAll(async () => {
  installation = await startInstallation({
    name: 'external',
    nodes: 1,
    values: { 'operator.replicas': '1', 'gateway.replicas': '1' },
    owner: { flags: { controllerManager: ['--horizontal-pod-autoscaler-sync-period=2s'] } },
  })
  hands = await startHands(installation)
  metrics = await startMetricsApi(installation.owner)
  await it().apply(...tenant(reader))
  await it().apply(
    await model('digits', 'digits/v1'),
    service('external', 'digits', { scaling: { mode: 'External', holdSeconds: 20 }, replicas: 1 }),
  )
})
afterAll(async () => {
  await metrics?.close()
  await installation?.stop()
})

const has = (count: number) =>
  it().eventually(`${count} workers are ready`, async () => {
    const { status } = await it().seen('external')
    const workers = await it().workers('external')
    if (status.readyReplicas === count && workers.length === count) return true
    throw new Error(JSON.stringify({ readyReplicas: status.readyReplicas, workers: workers.length }))
  })

test('a patch of the scale subresource is obeyed, to zero and back, and the revision keeps its traffic', {
  timeout,
}, async () => {
  const { revision = '' } = (await it().ready('external')).status
  const scale = (replicas: number) =>
    it().kubectl(
      ...['patch', 'inferenceservices.hansa.dev', 'external', '--subresource=scale', '--type=merge'],
      ...['-p', JSON.stringify({ spec: { replicas } })],
    )
  await scale(0)
  await has(0)
  const asleep = await it().becomes('inferenceservice', 'external', 'Routable', 'True', 'ScaledToZero')
  expect(asleep.seen.status.revision).toBe(revision)
  // Nobody but its own scaler may wake a service of mode External; a request waits for that.
  const asked = it().ask('external')
  await scale(1)
  expect(await asked).toMatchObject({ status: 200, digits: [it().digit] })
  await has(1)
})

test("Kubernetes' own autoscaler drives the service up and down by an external metric", { timeout }, async () => {
  it().metrics.set('queue-length', 3)
  await it().apply({
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'external', namespace },
    spec: {
      scaleTargetRef: { apiVersion: 'hansa.dev/v1alpha1', kind: 'InferenceService', name: 'external' },
      minReplicas: 1,
      maxReplicas: 3,
      metrics: [
        {
          type: 'External',
          external: { metric: { name: 'queue-length' }, target: { type: 'AverageValue', averageValue: '10' } },
        },
      ],
      behavior: { scaleUp: { stabilizationWindowSeconds: 0 }, scaleDown: { stabilizationWindowSeconds: 0 } },
    },
  })
  await it().eventually('the autoscaler reads the metric', async () =>
    (await it().kubectl(
      'get',
      'hpa',
      'external',
      '-o',
      'jsonpath={.status.conditions[?(@.type=="ScalingActive")].reason}',
    )) === 'ValidMetricFound'
      ? true
      : undefined,
  )
  expect([...it().metrics.users]).toContain('system:serviceaccount:kube-system:horizontal-pod-autoscaler')
  it().metrics.set('queue-length', 28)
  await has(3)
  it().metrics.set('queue-length', 4)
  await has(1)
  expect(await it().answers('external', 200)).toMatchObject({ digits: [it().digit] })
})
