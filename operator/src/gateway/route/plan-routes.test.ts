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
