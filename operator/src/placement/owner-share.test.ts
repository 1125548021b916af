import { expect, test } from 'vitest'
import { inferenceService } from '../../../test/builders/inference-service.ts'
import type { Peer } from '../api/peer.ts'
import { apiVersion } from '../api/resource.ts'
import { ownerShares } from './owner-share.ts'

const domain = 'a'.repeat(52)

function peer(name: string, ownerId: string, trustDomain = domain): Peer {
  return {
    apiVersion,
    kind: 'Peer',
    metadata: { name },
    spec: { identityRef: { name: 'league' }, ownerId, dial: 'Both', seesOffers: true, suspend: false },
    status: { trustDomain },
  }
}

const at = (name: string, replicas: number, readyReplicas: number) => ({
  peer: name,
  wanted: replicas,
  replicas,
  readyReplicas,
  answer: 'Granted' as const,
  lease: 'Active' as const,
})

test('two clusters of one owner have one key; the same id in another trust domain is another owner', () => {
  const service = inferenceService('chat')
  service.status = {
    replicas: 2,
    readyReplicas: 1,
    owners: [at('a', 1, 1), at('b', 2, 1), at('c', 1, 0), at('d', 0, 0)],
  }
  const shares = ownerShares(service, [peer('a', 'city'), peer('b', 'city'), peer('c', 'city', 'b'.repeat(52))])
  expect(shares).toEqual([
    { owner: 'own', ownerKey: 'own', replicas: 2, readyReplicas: 1 },
    { owner: 'a', ownerKey: `city@${domain}`, replicas: 1, readyReplicas: 1 },
    { owner: 'b', ownerKey: `city@${domain}`, replicas: 2, readyReplicas: 1 },
    { owner: 'c', ownerKey: `city@${'b'.repeat(52)}`, replicas: 1, readyReplicas: 0 },
  ])
})

test('a Peer that is not known, or not joined, is an owner of its own', () => {
  const service = inferenceService('chat')
  service.status = { owners: [at('a', 1, 1), at('b', 1, 1)] }
  expect(ownerShares(service, []).map(({ ownerKey }) => ownerKey)).toEqual(['peer a', 'peer b'])
})
