import { expect, test } from 'vitest'
import {
  inferenceService,
  suspended,
  withExternalReplicas,
  withReplicas,
  withSpec,
  withStatus,
} from '../../../test/builders/inference-service.ts'
import type { InferenceService } from '../api/inference-service.ts'
import type { Deployment } from '../kube/builtin.ts'
import { revisionLabels } from './names.ts'
import { type PlanInput, plan as planned } from './plan.ts'

const template = { spec: { containers: [] } }
const next = { revision: 'bbbbbbbb', template }
const demand = { isComplete: () => false, window: () => undefined }

function plan(input: Omit<PlanInput, 'pods' | 'demand' | 'now'>) {
  return planned({ pods: [], demand, now: 0, ...input })
}

function deployment(revision: string, ready: number): Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: `chat-${revision}`,
      namespace: 'default',
      generation: 1,
      labels: revisionLabels('chat', revision),
    },
    spec: { replicas: 2, selector: {}, template },
    status: { observedGeneration: 1, replicas: 2, readyReplicas: ready },
  }
}

function serving(...revisions: string[]): InferenceService {
  return inferenceService(
    'chat',
    withReplicas(2),
    withStatus({ traffic: revisions.map((revision) => ({ revision, percent: 100 })) }),
  )
}

test('the first revision gets all requests at once', () => {
  const decided = plan({ service: serving(), latest: next, deployments: [] })
  expect(decided.latest).toEqual({ ...next, replicas: 2 })
  expect(decided.traffic).toEqual([{ revision: 'bbbbbbbb', percent: 100 }])
})

test('requests stay with the old revision until all workers of the new one are ready', () => {
  const old = deployment('aaaaaaaa', 2)
  const decided = plan({ service: serving('aaaaaaaa'), latest: next, deployments: [old, deployment('bbbbbbbb', 1)] })
  expect(decided.traffic).toEqual([{ revision: 'aaaaaaaa', percent: 100 }])
  expect(decided.remove).toEqual([])
})

test('the old workers stay until gateways were told of the new ones', () => {
  const deployments = [deployment('aaaaaaaa', 2), deployment('bbbbbbbb', 2)]
  const first = plan({ service: serving('aaaaaaaa'), latest: next, deployments })
  expect(first.traffic).toEqual([{ revision: 'bbbbbbbb', percent: 100 }])
  expect(first.remove).toEqual([])
  const second = plan({ service: serving('bbbbbbbb'), latest: next, deployments })
  expect(second.remove.map(({ metadata }) => metadata.name)).toEqual(['chat-aaaaaaaa'])
})

test('a revision that never came up gives way at once to the new one', () => {
  const deployments = [deployment('aaaaaaaa', 0), deployment('bbbbbbbb', 0)]
  expect(plan({ service: serving('aaaaaaaa'), latest: next, deployments }).traffic).toEqual([
    { revision: 'bbbbbbbb', percent: 100 },
  ])
})

function cameUp(old: Deployment): Deployment {
  const conditions = [{ type: 'Progressing', status: 'True', reason: 'NewReplicaSetAvailable' } as const]
  return { ...old, status: { ...old.status, conditions } }
}

test('a revision that lost its workers keeps its traffic until the new one has a worker', () => {
  const old = cameUp(deployment('aaaaaaaa', 0))
  const waiting = plan({ service: serving('aaaaaaaa'), latest: next, deployments: [old, deployment('bbbbbbbb', 0)] })
  expect(waiting.traffic).toEqual([{ revision: 'aaaaaaaa', percent: 100 }])
  expect(waiting.remove).toEqual([])
  const moved = plan({ service: serving('aaaaaaaa'), latest: next, deployments: [old, deployment('bbbbbbbb', 1)] })
  expect(moved.traffic).toEqual([{ revision: 'bbbbbbbb', percent: 100 }])
})

test('workers that are left are kept when the revision that was told to gateways is gone', () => {
  const deployments = [deployment('aaaaaaaa', 2)]
  const decided = plan({ service: serving('bbbbbbbb'), latest: next, deployments })
  expect(decided.remove).toEqual([])
  expect(decided.latest?.replicas).toBe(2)
})

test('a Deployment that is being deleted is neither counted on nor deleted again', () => {
  const leaving = deployment('bbbbbbbb', 2)
  leaving.metadata.deletionTimestamp = '2026-01-01T00:00:00Z'
  const decided = plan({
    service: serving('aaaaaaaa'),
    latest: next,
    deployments: [deployment('aaaaaaaa', 2), leaving],
  })
  expect(decided.traffic).toEqual([{ revision: 'aaaaaaaa', percent: 100 }])
  expect(decided.remove).toEqual([])
})

test('scaled to zero without a servable model, what runs ends', () => {
  const service = serving('aaaaaaaa')
  withReplicas(0)(service)
  const decided = plan({ service, latest: undefined, deployments: [deployment('aaaaaaaa', 2)] })
  expect(decided.traffic).toEqual([])
  expect(decided.remove).toHaveLength(1)
})

test('in mode External the count is spec.replicas, whatever minReplicas says', () => {
  const service = inferenceService('chat', withExternalReplicas(5))
  expect(plan({ service, latest: next, deployments: [] })).toMatchObject({ latest: { replicas: 5 }, wantedReplicas: 5 })
})

test('a service that is no longer suspended starts the newest revision with its traffic', () => {
  const service = serving()
  expect(plan({ service, latest: next, deployments: [] })).toMatchObject({
    latest: { revision: 'bbbbbbbb', replicas: 2 },
    traffic: [{ revision: 'bbbbbbbb', percent: 100 }],
  })
})

test('an abandoned attempt is removed while the old revision serves on', () => {
  const deployments = [deployment('aaaaaaaa', 2), deployment('cccccccc', 0), deployment('bbbbbbbb', 0)]
  const decided = plan({ service: serving('aaaaaaaa'), latest: next, deployments })
  expect(decided.remove.map(({ metadata }) => metadata.name)).toEqual(['chat-cccccccc'])
})

test('while the model cannot be served nothing that runs is touched', () => {
  const decided = plan({ service: serving('aaaaaaaa'), latest: undefined, deployments: [deployment('aaaaaaaa', 2)] })
  expect(decided).toEqual({
    latest: undefined,
    scale: [],
    remove: [],
    traffic: [{ revision: 'aaaaaaaa', percent: 100 }],
    wantedReplicas: 2,
    rollout: undefined,
  })
})

test('a suspended service has no workers and no traffic', () => {
  const service = serving('aaaaaaaa')
  suspended(service)
  const decided = plan({ service, latest: next, deployments: [deployment('aaaaaaaa', 2)] })
  expect(decided.latest).toBeUndefined()
  expect(decided.traffic).toEqual([])
  expect(decided.remove).toHaveLength(1)
})

test('the revision keeps its Deployment and its traffic at zero replicas, to wake at once', () => {
  const service = serving('bbbbbbbb')
  withReplicas(0)(service)
  const decided = plan({ service, latest: next, deployments: [deployment('bbbbbbbb', 2)] })
  expect(decided.traffic).toEqual([{ revision: 'bbbbbbbb', percent: 100 }])
  expect(decided.latest?.replicas).toBe(0)
  expect(decided.remove).toEqual([])
})

test("the scaler's count goes before the spec's, but not before a suspension", () => {
  const service = serving('bbbbbbbb')
  const deployments = [deployment('bbbbbbbb', 2)]
  expect(plan({ service, latest: next, deployments, wanted: 5 })).toMatchObject({
    latest: { replicas: 5 },
    wantedReplicas: 5,
  })
  suspended(service)
  expect(plan({ service, latest: next, deployments, wanted: 5 }).wantedReplicas).toBe(0)
})

const canary = withSpec({
  rollout: {
    strategy: 'Canary',
    paused: false,
    steps: [{ percent: 50, seconds: 60 }],
    analysis: { windowSeconds: 30, minRequests: 20, maxErrorPermille: 10, maxLatencyPermille: 2000 },
  },
})
const trying = (revision: string) => ({
  revision,
  state: 'Progressing' as const,
  step: 0,
  stepStartedTime: '1970-01-01T00:00:00Z',
})
const half = [
  { revision: 'aaaaaaaa', percent: 50 },
  { revision: 'bbbbbbbb', percent: 50 },
]

test('a newer revision takes the place of the one that is being tried, and the old one stays the old one', () => {
  const service = inferenceService(
    'chat',
    withReplicas(2),
    canary,
    withStatus({ traffic: half, rollout: trying('bbbbbbbb') }),
  )
  const deployments = [deployment('aaaaaaaa', 2), deployment('bbbbbbbb', 1)]
  const newer = { revision: 'cccccccc', template }
  const first = plan({ service, latest: newer, deployments })
  expect(first).toMatchObject({
    latest: { revision: 'cccccccc', replicas: 2 },
    traffic: [{ revision: 'aaaaaaaa', percent: 100 }],
    rollout: { revision: 'cccccccc' },
    remove: [],
  })
  withStatus({ traffic: first.traffic, ...(first.rollout !== undefined && { rollout: first.rollout }) })(service)
  const second = plan({ service, latest: newer, deployments: [...deployments, deployment('cccccccc', 0)] })
  expect(second.remove.map(({ metadata }) => metadata.name)).toEqual(['chat-bbbbbbbb'])
})

test('back to the old revision the canary ends at once', () => {
  const service = inferenceService(
    'chat',
    withReplicas(2),
    canary,
    withStatus({ traffic: half, rollout: trying('bbbbbbbb') }),
  )
  const deployments = [deployment('aaaaaaaa', 1), deployment('bbbbbbbb', 1)]
  const decided = plan({ service, latest: { revision: 'aaaaaaaa', template }, deployments })
  expect(decided).toMatchObject({ traffic: [{ revision: 'aaaaaaaa', percent: 100 }], rollout: undefined })
  expect(decided.rolledOut?.reason).toBe('Promoted')
})

test('a canary of a revision that never came up to compare with is none', () => {
  const service = inferenceService(
    'chat',
    withReplicas(2),
    canary,
    withStatus({ traffic: [{ revision: 'aaaaaaaa', percent: 100 }] }),
  )
  const decided = plan({ service, latest: next, deployments: [deployment('aaaaaaaa', 0)] })
  expect(decided).toMatchObject({ latest: { replicas: 2 }, traffic: [{ revision: 'bbbbbbbb', percent: 100 }] })
})

test('what was rolled back stays away while the model cannot be judged and at zero workers', () => {
  const rolledBack = { ...trying('bbbbbbbb'), state: 'RolledBack' as const, message: 'TooSlow: 3' }
  const told = [{ revision: 'aaaaaaaa', percent: 100 }]
  const service = inferenceService('chat', withReplicas(0), canary, withStatus({ traffic: told, rollout: rolledBack }))
  for (const latest of [next, undefined]) {
    const decided = plan({ service, latest, deployments: [cameUp(deployment('aaaaaaaa', 0))] })
    expect(decided).toMatchObject({ latest: undefined, remove: [], traffic: told, rollout: rolledBack })
  }
})
