import { expect, test } from 'vitest'
import { remoteWork } from '../../../test/builders/remote-work.ts'
import { grantOfWork } from './grant-of.ts'

test('the grant of a RemoteWork has the cost centre and the service that its labels name', () => {
  const work = remoteWork('papers')
  const labels = { 'hansa.dev/cost-centre': '4711', 'hansa.dev/inference-service': 'papers' }
  const lease = { state: 'Active', epoch: 3, ttlSeconds: 60, incarnation: 1 }
  const live = { ...work, metadata: { ...work.metadata, labels, uid: 'u', resourceVersion: '1' }, status: { lease } }
  // Of a lease the grant reads no more than this.
  const grant = grantOfWork(live as unknown as Parameters<typeof grantOfWork>[0], 'main', 7)
  expect(grant).toMatchObject({ side: 'Requester', epoch: 3, service: 'papers', costCentre: '4711', identity: 'main' })
})
