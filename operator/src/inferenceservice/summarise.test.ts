import { expect, test } from 'vitest'
import {
  inferenceService,
  suspended,
  withAccess,
  withReplicas,
  withStatus,
} from '../../../test/builders/inference-service.ts'
import type { InferenceService } from '../api/inference-service.ts'
import { inferenceServiceReasons } from '../api/inference-service-reasons.ts'
import type { Deployment } from '../kube/builtin.ts'
import type { ModelState } from './model-state.ts'
import { revisionLabels } from './names.ts'
import type { Plan } from './plan.ts'
import { summarise } from './summarise.ts'
import type { Trouble } from './workers.ts'

const now = new Date('2026-11-22T12:00:00Z')
const template = { spec: { containers: [] } }
const verified: ModelState = { reason: 'Verified', message: 'Model chat-v1 is verified' }
const reader = withAccess({ namespace: 'default', name: 'reader' })

function deployment(revision: string, ready: number): Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: `chat-${revision}`, generation: 1, labels: revisionLabels('chat', revision) },
    spec: { selector: {}, template },
    status: { observedGeneration: 1, replicas: 2, readyReplicas: ready },
  }
}

function status(
  service: InferenceService,
  options: {
    ready?: number
    traffic?: string
    trouble?: Trouble
    model?: ModelState
    deployments?: Deployment[]
    total?: number
  } = {},
) {
  const replicas = service.spec.scaling.minReplicas
  const traffic =
    service.spec.suspend || replicas === 0 ? [] : [{ revision: options.traffic ?? 'bbbbbbbb', percent: 100 }]
  const plan: Plan = {
    latest: { revision: 'bbbbbbbb', template, replicas },
    scale: [],
    remove: [],
    rollout: undefined,
    traffic,
    wantedReplicas: replicas,
  }
  return summarise(
    {
      service,
      model: options.model ?? verified,
      latestRevision: 'bbbbbbbb',
      plan,
      deployments: options.deployments ?? [deployment('bbbbbbbb', options.ready ?? replicas)],
      trouble: options.trouble,
      ...(options.total !== undefined && { total: options.total }),
      gatewayUrl: 'https://gw.example',
    },
    now,
  )
}

function conditions(result: ReturnType<typeof status>): Record<string, string> {
  return Object.fromEntries(
    (result.conditions ?? []).map(({ type, status: value, reason }) => [type, `${value} ${reason}`]),
  )
}

test('a service with all its workers is ready at its URL', () => {
  const result = status(inferenceService('chat', withReplicas(2), reader))
  expect(result.url).toBe('https://gw.example/default/chat')
  expect(conditions(result)).toEqual({
    ModelVerified: 'True Verified',
    WorkersReady: 'True Ready',
    Routable: 'True Routable',
    Ready: 'True Ready',
  })
})

test('a service that nobody may call says so', () => {
  expect(conditions(status(inferenceService('chat', withReplicas(2)))).Routable).toBe('True NoAccessListed')
})

test('a rollout that fails is not ready, yet routable, and the message says who serves', () => {
  const result = status(inferenceService('chat', withReplicas(2), reader), {
    traffic: 'aaaaaaaa',
    deployments: [deployment('aaaaaaaa', 2), deployment('bbbbbbbb', 0)],
    trouble: { reason: 'CrashLooping', message: 'pod x keeps ending' },
  })
  expect(conditions(result)).toMatchObject({
    WorkersReady: 'False CrashLooping',
    Routable: 'True Routable',
    Ready: 'False CrashLooping',
  })
  expect(result.conditions?.find(({ type }) => type === 'Ready')?.message).toContain('revision aaaaaaaa keeps serving')
  expect(result).toMatchObject({ revision: 'aaaaaaaa', latestRevision: 'bbbbbbbb' })
})

test('files that changed after the check turn ModelVerified False', () => {
  const result = status(inferenceService('chat', withReplicas(1), reader), {
    ready: 0,
    trouble: {
      reason: 'ModelLoadFailed',
      message: 'x',
      model: { reason: 'DigestMismatch', message: 'file model.onnx' },
    },
  })
  expect(conditions(result)).toMatchObject({ ModelVerified: 'False ModelRejected', Ready: 'False ModelRejected' })
})

test('an unknown model state is Unknown, not False', () => {
  const result = status(inferenceService('chat', withReplicas(1), reader), {
    model: { reason: 'ModelNotReady', message: 'wait' },
  })
  expect(conditions(result).Ready).toBe('Unknown ModelNotReady')
})

test('a suspended service and one scaled to zero say so', () => {
  expect(conditions(status(inferenceService('chat', withReplicas(1), suspended))).Ready).toBe('False Suspended')
  expect(conditions(status(inferenceService('chat', withReplicas(0))))).toMatchObject({
    WorkersReady: 'True ScaledToZero',
    Routable: 'True ScaledToZero',
  })
})

test('summing up twice changes nothing', () => {
  const service = inferenceService('chat', withReplicas(2), reader)
  service.status = status(service)
  expect(status(service)).toEqual(service.status)
})

test('every status of a reason comes from the catalogue', () => {
  const result = status(inferenceService('chat', withReplicas(2), reader), { ready: 1 })
  for (const { type, reason, status: value } of result.conditions ?? []) {
    const catalogue: Record<string, Record<string, { status: string }>> = inferenceServiceReasons
    if (type !== 'Ready') expect(catalogue[type]?.[reason]?.status).toBe(value)
  }
})

test('RolledOut says where a canary stands and leaves Ready alone', () => {
  const service = inferenceService('chat', withReplicas(2), reader)
  const rollout = { revision: 'bbbbbbbb', state: 'RolledBack' as const, step: 0, stepStartedTime: now.toISOString() }
  const old = deployment('aaaaaaaa', 2)
  const result = summarise(
    {
      service,
      model: verified,
      latestRevision: 'bbbbbbbb',
      plan: {
        latest: undefined,
        scale: [{ deployment: old, replicas: 2 }],
        remove: [],
        traffic: [{ revision: 'aaaaaaaa', percent: 100 }],
        wantedReplicas: 2,
        rollout,
        rolledOut: { reason: 'TooSlow', message: 'revision bbbbbbbb was rolled back' },
      },
      deployments: [old],
      trouble: undefined,
      gatewayUrl: 'https://gw.example',
    },
    now,
  )
  expect(conditions(result)).toMatchObject({ RolledOut: 'False TooSlow', Ready: 'True Ready' })
  expect(result).toMatchObject({ revision: 'aaaaaaaa', latestRevision: 'bbbbbbbb', rollout })
})

test('a service whose workers are all at peers is ready while they are, and says how many', () => {
  const at = (readyReplicas: number) =>
    withStatus({
      owners: [{ peer: 'city', wanted: 3, replicas: 3, readyReplicas, answer: 'Granted', lease: 'Active' }],
    })
  const there = status(inferenceService('chat', withReplicas(0), reader, at(2)), { total: 3 })
  expect(there.desiredReplicas).toBe(3)
  expect(conditions(there)).toMatchObject({
    WorkersReady: 'True Ready',
    Routable: 'True Routable',
    Ready: 'True Ready',
  })
  const gone = status(inferenceService('chat', withReplicas(0), reader, at(0)), { total: 3 })
  expect(conditions(gone)).toMatchObject({ Routable: 'False NoReadyWorkers', Ready: 'False NoReadyWorkers' })
})
