import { expect, test } from 'vitest'
import { peerOf, testOwner } from '../../../test/builders/federation.ts'
import type { Peer } from '../api/peer.ts'
import { ownersOf } from './owners.ts'

test('an owner with several clusters counts once', async () => {
  const university = await testOwner('university')
  const clinic = await testOwner('clinic')
  const gpu = { ...peerOf(university, 'gpu'), spec: { ...peerOf(university).spec, clusterName: 'gpu' } }
  const invited: Peer = { ...peerOf(clinic, 'invited'), status: {} }
  const owners = ownersOf([peerOf(university, 'main'), peerOf(clinic, 'clinic'), gpu, invited])
  expect(owners).toHaveLength(2)
  const ofUniversity = owners.find(({ trustDomain }) => trustDomain === university.bundle.trustDomain)
  expect(ofUniversity?.peers.map(({ metadata }) => metadata.name)).toEqual(['main', 'gpu'])
})

test('an owner that calls itself like another is another', async () => {
  const two = [await testOwner('university'), await testOwner('university')]
  expect(ownersOf(two.map((owner) => peerOf(owner)))).toHaveLength(2)
})
