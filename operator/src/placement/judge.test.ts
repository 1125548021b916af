import { expect, test } from 'vitest'
import type { Offer, PeerFacts, PlacementFacts } from './input.ts'
import { judge } from './judge.ts'

const eur = (microsPerGPUHour: number) => ({ currency: 'EUR', microsPerGPUHour })
const offer = (changes: Partial<Offer>): Offer => ({
  workloads: ['Serve'],
  gpuModel: 'H200',
  free: 'Few',
  dataClasses: ['Public'],
  ...changes,
})

/** The price by which a peer with these offers is judged, for workers with so many GPUs. */
function priceAt(peer: Partial<PeerFacts>, gpus = 1): number | undefined {
  const facts: PlacementFacts = {
    ...{ strategy: 'Cheapest', total: 2, minOwners: 1, maxSharePerOwnerPermille: 1000, maxPrice: eur(900) },
    ...{ namespace: { name: 'apps' }, dataClass: 'Public', resources: {}, gpus, policies: [], spent: () => 0 },
    own: { current: 0, room: 0, maxReplicas: 0 },
    peers: [
      {
        ...{ name: 'university', ownerKey: 'university', maxReplicas: 2, current: 0, troubles: 0, sharePermille: 0 },
        state: { exists: true, verified: true, connected: true, suspended: false },
        ...peer,
      },
    ],
  }
  return judge(facts).find(({ name }) => name === 'university')?.priceMicros
}

test('a free policy without a GPU does not make those of another policy free', () => {
  const offers = [offer({ free: 'None' }), offer({ price: eur(400) })]
  expect(priceAt({ offers })).toBe(400)
  expect(priceAt({ offers }, 0)).toBe(0)
})

test('of several offers with room the cheapest counts, and where none has room the cheapest of all', () => {
  expect(priceAt({ offers: [offer({ price: eur(400) }), offer({ price: eur(300) })] })).toBe(300)
  const full = [offer({ free: 'None', price: eur(400) }), offer({ free: 'None', price: eur(500) })]
  expect(priceAt({ offers: full, current: 1 })).toBe(400)
})

test('what was granted is judged by the price of its lease, whatever is offered now', () => {
  expect(priceAt({ offers: [offer({ price: eur(100) })], current: 1, paidMicros: 400 })).toBe(400)
})

test('who says no price may ask for all that we would pay', () => {
  expect(priceAt({})).toBe(900)
})
