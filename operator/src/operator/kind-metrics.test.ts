import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { accessKey } from '../../../test/builders/access-key.ts'
import { inferenceService, withCondition } from '../../../test/builders/inference-service.ts'
import { model, verified, withVerdict } from '../../../test/builders/model.ts'
import type { OwnerIdentity } from '../api/identity.ts'
import { apiVersion } from '../api/resource.ts'
import type { Live } from '../kube/resource.ts'
import { countKinds } from './kind-metrics.ts'

// Builders set uid and resourceVersion, as the API server would.
const live = <T extends { metadata: object }>(object: T) => object as T & Live

const empty = { list: () => [] }
const none = { peers: empty, egressPolicies: empty, remoteWorks: empty, sharePolicies: empty, guestWorks: empty }
function identity(name: string, status: 'True' | 'False', reason: string): OwnerIdentity {
  const condition = { type: 'Ready', status, reason, message: '', lastTransitionTime: '2026-03-01T00:00:00Z' }
  const spec = {
    ownerId: 'clinic',
    clusterName: 'main',
    federation: 'default',
    certificateSeconds: 21_600,
    roleKeySeconds: 604_800,
    suspend: false,
  }
  return { apiVersion, kind: 'Identity', metadata: { name }, spec, status: { conditions: [condition] } }
}

function setUp() {
  const registry = new Registry()
  const stop = new AbortController()
  const services = [
    inferenceService('a', withCondition('Ready', 'True')),
    inferenceService('b', withCondition('Ready', 'False', 'Unschedulable')),
    inferenceService('c', withCondition('Ready', 'False', 'Unschedulable')),
    inferenceService('d'),
    inferenceService('e', withCondition('Ready', 'False', 'Words of a stranger')),
  ].map(live)
  const keys = [accessKey('a', 'True', 'Accepted'), accessKey('b', 'False', 'Expired')].map(live)
  const identities = [identity('a', 'True', 'Published'), identity('b', 'False', 'Suspended')].map(live)
  const models = [model('a', verified), model('b', withVerdict('False', 'DigestMismatch'))].map(live)
  countKinds(
    registry,
    {
      ...none,
      identities: { list: () => identities },
      services: { list: () => services },
      models: { list: () => models },
      keys: { list: () => keys },
    },
    stop.signal,
  )
  return { registry, stop, services, models, keys, identities }
}

test('objects are counted by status and reason, and never by name', async () => {
  const { registry } = setUp()
  const lines = (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  expect(lines.sort()).toEqual([
    'hansa_accesskeys{status="False",reason="Expired"} 1',
    'hansa_accesskeys{status="True",reason="Accepted"} 1',
    'hansa_identities{status="False",reason="Suspended"} 1',
    'hansa_identities{status="True",reason="Published"} 1',
    'hansa_inferenceservices{status="False",reason="Other"} 1',
    'hansa_inferenceservices{status="False",reason="Unschedulable"} 2',
    'hansa_inferenceservices{status="True",reason="Ready"} 1',
    'hansa_inferenceservices{status="Unknown",reason="New"} 1',
    'hansa_models{status="False",reason="DigestMismatch"} 1',
    'hansa_models{status="True",reason="Verified"} 1',
  ])
})

test('a count that falls to nothing is gone', async () => {
  const { registry, models } = setUp()
  await registry.metrics()
  models.splice(1)
  expect(await registry.metrics()).not.toContain('DigestMismatch')
})

test('who leads no more counts nothing, and may lead again', async () => {
  const { registry, stop, services, models, keys, identities } = setUp()
  stop.abort()
  expect(await registry.metrics()).not.toContain('hansa_models')
  const { signal } = new AbortController()
  countKinds(
    registry,
    {
      ...none,
      identities: { list: () => identities },
      services: { list: () => services },
      models: { list: () => models },
      keys: { list: () => keys },
    },
    signal,
  )
  expect(await registry.metrics()).toContain('hansa_models{')
})
