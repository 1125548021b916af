import { expect, test } from 'vitest'
import { identityOf, peerOf, testOwner } from '../../../test/builders/federation.ts'
import { inferenceService, withGpus, withSpec, withStatus } from '../../../test/builders/inference-service.ts'
import { model, verified } from '../../../test/builders/model.ts'
import { atPeer, knownPeer } from '../../../test/builders/peer.ts'
import { remoteWork } from '../../../test/builders/remote-work.ts'
import { sealOf } from '../../../test/builders/scripted-peer.ts'
import type { Peer } from '../api/peer.ts'
import { createManualClock } from '../kube/manual-clock.ts'
import { layersOf } from '../layers/layers.ts'
import type { Candidate } from '../placement/decide.ts'
import type { Offer, PeerFacts } from '../placement/input.ts'
import { filledOf, termsOf } from './layers.ts'
import { layersText } from './layers-text.ts'
import { memoryIo } from './memory-io.ts'
import { offersOf, offerText } from './offers.ts'
import { peerRow } from './peers.ts'

const now = Date.parse('2026-01-01T01:00:00Z')
const { signal } = new AbortController()
const few: Offer = {
  workloads: ['Serve'],
  gpuModel: 'L4',
  free: 'Few',
  dataClasses: ['Internal'],
  price: { currency: 'EUR', microsPerGPUHour: 400_000 },
}

test('an offer counts when the peer signed it for us; the newest one', async () => {
  const [us, them, other] = await Promise.all(['us', 'them', 'other'].map((name) => testOwner(name, { now })))
  if (us === undefined || them === undefined || other === undefined) throw new Error('no owners')
  const clock = createManualClock(now)
  const offer = (by: typeof them, sequence: number, free: Offer['free']) =>
    sealOf(by, clock)(
      'Offer',
      { offers: [{ ...few, free }], sequence },
      { identityName: 'main', peer: peerOf(us), seconds: 3600, signal },
    )
  const seen = async (...offers: string[]): Promise<Peer> => {
    const peer = peerOf(them)
    const links = offers.map((each, index) => ({
      replica: `link-${index}`,
      connected: true,
      direction: 'Outbound' as const,
      offer: each,
    }))
    return { ...peer, status: { ...peer.status, links } }
  }
  const identities = [identityOf(us)]
  const [old, fresh, forged] = await Promise.all([
    offer(them, 1, 'Few'),
    offer(them, 2, 'Some'),
    offer(other, 3, 'Many'),
  ])
  expect(offersOf(await seen(old, fresh, forged), identities, now).map(({ free }) => free)).toEqual(['Some'])
  expect(offersOf(await seen(forged), identities, now)).toEqual([])
  expect(offersOf(await seen(fresh), [], now)).toEqual([])
})

test.each([
  [few, 'few L4 at 0.40 EUR'],
  [{ ...few, gpuModel: 'none', price: undefined }, 'CPU only free'],
  [{ ...few, free: 'None' as const, opens: '2026-01-01T20:00:00Z' }, 'none L4 at 0.40 EUR from 2026-01-01T20:00:00Z'],
])('an offer in a few words', (offer, text) => {
  const { price, ...rest } = offer
  expect(offerText(price === undefined ? rest : { ...rest, price })).toBe(text)
})

test('a row of peers counts leases that run, and not the tombstones of those that are over', () => {
  const lease = { epoch: 1, ttlSeconds: 60, signedTime: '2026-01-01T00:00:00Z' }
  const taken = (state: 'Active' | 'Uncertain' | 'Ended') => remoteWork(state, {}, { lease: { ...lease, state } })
  const tombstone = taken('Active')
  tombstone.spec.cancelled = { requestId: 'r', expires: '2026-01-01T00:00:00Z', envelope: '{}' }
  const peer = knownPeer('university', 'university')
  peer.status = {
    ...peer.status,
    links: [
      { replica: 'a', connected: true, direction: 'Outbound', roundTripMilliseconds: 20 },
      { replica: 'b', connected: true, direction: 'Inbound', roundTripMilliseconds: 10 },
      { replica: 'c', connected: false, direction: 'None' },
    ],
  }
  const works = [taken('Active'), taken('Uncertain'), taken('Ended'), tombstone]
  expect(peerRow(peer, { offers: [], works, guests: undefined })).toEqual({
    name: 'university',
    owner: 'university',
    verified: 'True',
    connected: 'True',
    direction: 'Both',
    roundTripMilliseconds: 10,
    offers: [],
    leasesTaken: 2,
    frozen: false,
  })
})

test('a lease says the price, else the cheapest offer; room is what runs there and what the bands can mean', () => {
  const dear = { ...few, free: 'Some' as const, price: { currency: 'EUR', microsPerGPUHour: 900_000 } }
  expect(termsOf([dear, few], undefined, 2, 1)).toEqual({ price: few.price, mostWorkers: 10 })
  expect(termsOf([{ ...few, free: 'Many' }], undefined, 2, 0)).toEqual({ price: few.price, mostWorkers: undefined })
  const price = { currency: 'EUR', microsPerGPUHour: 100_000 }
  const lease = { epoch: 1, ttlSeconds: 60, signedTime: '2026-01-01T00:00:00Z', state: 'Active' as const, price }
  expect(termsOf([], remoteWork('w', {}, { lease }), 1, 3)).toEqual({ price })
  expect(termsOf([], undefined, 1, 0)).toEqual({ price: undefined })
  expect(termsOf([few], undefined, 0, 0)).toEqual({ price: 'Free' })
})

test('what the planner decides is priced like any other placement', () => {
  const peer = { roundTripMilliseconds: 20 } as PeerFacts
  const candidate = { name: 'lab', ownerKey: 'university', replicas: 2, priceMicros: 5, peer } as Candidate
  expect(filledOf(candidate, 'EUR')).toEqual([
    {
      choice: {
        owner: 'lab',
        ownerKey: 'university',
        price: { currency: 'EUR', microsPerGPUHour: 5 },
        latencyMilliseconds: 20,
      },
      workers: 2,
    },
  ])
  expect(filledOf({ ...candidate, replicas: 0 }, 'EUR')).toEqual([])
})

test('layers are a table with every layer, those that are not there yet, and what is required', () => {
  const service = inferenceService(
    'chat',
    withGpus(1),
    withSpec({}),
    withStatus({ desiredReplicas: 2, readyReplicas: 2, replicas: 2, owners: [atPeer('lab', 1)] }),
  )
  const layers = layersOf({
    service,
    model: model('chat-v1', verified),
    peers: [knownPeer('lab', 'university')],
    ownTrustDomains: [],
    ledger: undefined,
  })
  const verdict = { type: 'Decentralized', status: 'False' as const, reason: 'TooFewOwners', message: 'Compute: 2' }
  const text = layersText(service, { layers, verdict, alternatives: [] }, memoryIo())
  expect(text).toMatch(/^Compute +own 2, lab 1 +2 +66\.7 % +5556 +2 +1 +ready workers$/m)
  expect(text).toMatch(/^Ledger +lab 0-1, own 0-1 +0-2 /m)
  expect(text).toMatch(/^Governance +not there yet$/m)
  expect(text).toContain('Ledger: who has cosigned is known to the ledger alone')
  expect(text).toContain('x Decentralized: TooFewOwners: Compute: 2\n  `kubectl hansa layers NAME` shows each layer')
})
