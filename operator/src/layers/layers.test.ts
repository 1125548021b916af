import { expect, test } from 'vitest'
import { inferenceService, suspended, withSpec, withStatus } from '../../../test/builders/inference-service.ts'
import { model, verified } from '../../../test/builders/model.ts'
import { atPeer, knownPeer } from '../../../test/builders/peer.ts'
import { type Layer, placementSchema } from '../api/placement.ts'
import { type LayersInput, layersOf, wantedWorkers } from './layers.ts'

const at = (name: string, replicas: number) => ({ name, replicas })
const service = inferenceService(
  'chat',
  withSpec({ placement: placementSchema.parse({ peers: [at('lab', 3), at('gpu', 1), at('clinic', 1)] }) }),
  withStatus({
    desiredReplicas: 2,
    replicas: 2,
    readyReplicas: 2,
    owners: [atPeer('lab', 3), atPeer('gpu', 1), atPeer('clinic', 1)],
  }),
)
const peers = [knownPeer('lab', 'university'), knownPeer('gpu', 'university'), knownPeer('clinic', 'clinic')]
const input: LayersInput = {
  service,
  model: model('chat-v1', verified),
  peers,
  ownTrustDomains: [],
  ledger: { witnesses: ['clinic'] },
}
const view = (layer: Layer, changes: Partial<LayersInput> = {}) => {
  const found = layersOf({ ...input, ...changes }).find((each) => each.layer === layer)
  if (found === undefined) throw new Error(`no layer ${layer}`)
  return found
}
const exactly = (value: number) => ({ least: value, most: value })

test('an owner counts once, however many clusters it has', () => {
  const { holders, measures, ownersToFallShort } = view('Compute')
  expect(holders.map(({ owner, most }) => [owner, most])).toEqual([
    ['lab+gpu', 4],
    ['own', 2],
    ['clinic', 1],
  ])
  expect(measures).toEqual({
    owners: exactly(3),
    largestSharePermille: exactly(572),
    herfindahl: 4286,
    ownersToStop: exactly(3),
  })
  // 2 + 3 + 1 + 1 are wanted and ready: any loss is felt.
  expect(ownersToFallShort).toBe(1)
})

test('workers that the strategy places at peers are among those that are wanted, and do not count twice', () => {
  const divided = structuredClone(service)
  divided.spec.placement = placementSchema.parse({ peers: [{ name: 'lab', maxReplicas: 8 }, at('clinic', 1)] })
  divided.status = { ...divided.status, desiredReplicas: 5 }
  expect(wantedWorkers(divided)).toBe(6)
})

test('a Peer in one of our own trust domains is another cluster of ours', () => {
  const ours = knownPeer('second', 'us')
  const status = { desiredReplicas: 1, replicas: 1, readyReplicas: 1, owners: [atPeer('second', 2)] }
  const { holders } = view('Compute', {
    service: inferenceService('chat', withStatus(status)),
    peers: [ours],
    ownTrustDomains: [ours.status?.trustDomain ?? ''],
  })
  expect(holders.map(({ owner, most }) => [owner, most])).toEqual([['own+second', 3]])
})

test('workers at a peer that is not heard of may be there or not', () => {
  const owners = [{ ...atPeer('clinic', 4), lease: 'Uncertain' as const }]
  const status = { desiredReplicas: 1, replicas: 1, readyReplicas: 1, owners }
  const { measures } = view('Compute', { service: inferenceService('chat', withStatus(status)) })
  expect(measures.owners).toEqual({ least: 1, most: 2 })
  expect(measures.ownersToStop).toEqual({ least: 1, most: 2 })
})

test('once the connection to a peer is lost, its workers may be there or not, long before its lease is over', () => {
  const clinic = knownPeer('clinic', 'clinic')
  for (const condition of clinic.status?.conditions ?? [])
    if (condition.type === 'Connected') condition.status = 'Unknown'
  const { measures } = view('Compute', {
    peers: [knownPeer('lab', 'university'), knownPeer('gpu', 'university'), clinic],
  })
  expect(measures.owners).toEqual({ least: 2, most: 3 })
})

test.each([
  ['suspended', inferenceService('chat', suspended), 'the service is suspended'],
  ['new', inferenceService('chat'), 'the operator has not looked at the service yet'],
  ['at zero', inferenceService('chat', withStatus({ desiredReplicas: 0 })), 'no workers are wanted now'],
])('of Compute of a service that is %s nothing is said', (_, each, unknown) => {
  expect(view('Compute', { service: each }).unknown).toBe(unknown)
})

test('who has a ready worker has all files; who was only granted may have them', () => {
  const owners = [atPeer('lab', 3), { ...atPeer('clinic', 2), readyReplicas: 0 }]
  const changed = inferenceService('chat', withStatus({ readyReplicas: 0, owners }))
  const { holders, measures } = view('Weights', { service: changed })
  expect(holders.map(({ owner, least, most }) => [owner, least, most])).toEqual([
    ['clinic', 0, 1],
    ['lab', 1, 1],
    ['own', 1, 1],
  ])
  expect(measures.ownersToStop).toEqual({ least: 2, most: 3 })
})

test('files that were refused here, and peers that refused, count for nothing', () => {
  const owners = [{ ...atPeer('lab', 0), answer: 'Refused' as const, lease: 'None' as const }]
  const changed = inferenceService('chat', withStatus({ owners }))
  expect(view('Weights', { service: changed, model: undefined }).holders).toEqual([])
})

test('control is one owner, wherever the workers are', () => {
  expect(view('Control').measures).toEqual({
    owners: exactly(1),
    largestSharePermille: exactly(1000),
    herfindahl: 10_000,
    ownersToStop: exactly(1),
  })
})

test('the ledger lasts as long as we or a witness remember the checkpoint', () => {
  expect(view('Ledger').holders.map(({ owner }) => owner)).toEqual(['clinic', 'own'])
  expect(view('Ledger').measures.ownersToStop).toEqual(exactly(2))
})

test('who cannot ask the ledger knows only how many owners there could be', () => {
  const { measures, unknown } = view('Ledger', { ledger: undefined })
  expect(unknown).toBe('who has cosigned is known to the ledger alone')
  expect(measures.owners).toEqual({ least: 0, most: 3 })
})
