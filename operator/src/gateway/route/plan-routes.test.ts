import { expect, test } from 'vitest'
import type { InferenceService } from '../../api/inference-service.ts'
import type { Pod } from '../../kube/pod-types.ts'
import { planRoutes } from './plan-routes.ts'

function service(spec: Record<string, unknown> = {}, traffic = [{ revision: 'r1', percent: 100 }]): InferenceService {
  return {
    apiVersion: 'hansa.dev/v1alpha1',
    kind: 'InferenceService',
    metadata: { name: 'digits', namespace: 'apps' },
    // Objects of older versions may lack what is required today; that is what these tests are about.
    spec: { modelRef: { name: 'm' }, ...spec } as unknown as InferenceService['spec'],
    status: { traffic },
  }
}

function pod(
  name: string,
  changes: { revision?: string; ready?: string; ip?: string; deleted?: boolean; of?: string } = {},
): Pod {
  const { revision = 'r1', ready = 'True', ip = '10.0.0.1', deleted = false, of = 'digits' } = changes
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'apps',
      labels: { 'hansa.dev/inference-service': of, 'hansa.dev/revision': revision },
      ...(deleted ? { deletionTimestamp: '2026-11-23T00:00:00Z' } : {}),
    },
    spec: { containers: [] },
    status: { podIP: ip, conditions: [{ type: 'Ready', status: ready === 'True' ? 'True' : 'False' }] },
  }
}

test('ready pods of revisions with traffic are endpoints; others are not', () => {
  const pods = [
    pod('a'),
    pod('b', { ready: 'False' }),
    pod('c', { deleted: true }),
    pod('d', { revision: 'r0' }),
    pod('e', { ip: 'not-an-address' }),
    pod('f', { of: 'other' }),
  ]
  const { routes } = planRoutes([service()], pods)
  expect(routes[0]?.endpoints).toEqual([{ address: '10.0.0.1', pod: 'a', revision: 'r1', percent: 100 }])
})

test('missing fields get their defaults, and nobody is allowed', () => {
  const { routes } = planRoutes([service()], [])
  expect(routes[0]).toMatchObject({
    requestSeconds: 60,
    requestBytes: 67_108_864,
    inFlight: 1000,
    serviceAccounts: [],
    oidc: [],
  })
})

test.each([
  [{}, false],
  [{ minReplicas: 0 }, true],
  [{ mode: 'External', minReplicas: 1 }, true],
])('with scaling %j a service may wake: %j', (scaling, mayWake) => {
  const { routes } = planRoutes([service({ scaling: { ...scaling, holdSeconds: 7 }, limits: { held: 9 } })], [])
  expect(routes[0]).toMatchObject({ mayWake, holdSeconds: 7, held: 9, queueDepth: 100 })
})

test('a revision that is tried is named, and gets mirrored requests at 0 percent only where the spec asks for them', () => {
  const trying = (state: 'Progressing' | 'Paused' | 'RolledBack', rollout: Record<string, unknown>) => {
    const traffic = [
      { revision: 'r1', percent: 100 },
      { revision: 'r2', percent: 0 },
    ]
    const tried = service({ rollout }, traffic)
    const stepStartedTime = '2026-11-23T00:00:00Z'
    tried.status = { ...tried.status, rollout: { revision: 'r2', state, step: 0, stepStartedTime } }
    const { routes } = planRoutes([tried], [pod('a'), pod('b', { revision: 'r2' })])
    return { ...routes[0], pods: routes[0]?.endpoints.map(({ pod, percent }) => [pod, percent]) }
  }
  const mirror = { permille: 50, tolerance: '0.01' }
  expect(trying('Progressing', { mirror })).toMatchObject({
    canary: 'r2',
    mirror: { revision: 'r2', permille: 50, tolerance: 0.01 },
    pods: [
      ['a', 100],
      ['b', 0],
    ],
  })
  expect(trying('Paused', {})).toMatchObject({ canary: 'r2', pods: [['a', 100]] })
  expect(trying('Paused', {}).mirror).toBeUndefined()
  expect(trying('RolledBack', { mirror })).toMatchObject({ pods: [['a', 100]] })
  expect(trying('RolledBack', { mirror }).canary).toBeUndefined()
})

test('an unreadable spec is reported and the other services keep their routes', () => {
  const broken = service({ limits: { requestBytes: 'many' } })
  broken.metadata.name = 'broken'
  const { routes, unreadable } = planRoutes([broken, service()], [])
  expect(routes.map((route) => route.service)).toEqual(['digits'])
  expect(unreadable).toMatchObject([{ key: 'apps/broken' }])
})

test('a service that is being deleted has no route', () => {
  const leaving = service()
  leaving.metadata.deletionTimestamp = '2026-11-23T00:00:00Z'
  expect(planRoutes([leaving], [pod('a')]).routes).toEqual([])
})
