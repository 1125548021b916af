import { dataClasses } from '@hansa/operator/api/owner-scalars.ts'
import { ownName, strategies } from '@hansa/operator/api/placement.ts'
import { roundTripBands } from '@hansa/operator/federation/round-trip.ts'
import { decidePlacement } from '@hansa/operator/placement/decide.ts'
import type { Offer, PeerFacts, PlacementFacts } from '@hansa/operator/placement/input.ts'
import fc from 'fast-check'
import { egressPolicy } from '../../builders/egress-policy.ts'

export type Decide = typeof decidePlacement

const peerNames = ['amber', 'beech', 'cedar', 'delta'] as const
const ownerKeys = ['one@x', 'two@x', 'two@y'] as const
export const highestPrice = 1000

const offer: fc.Arbitrary<Offer> = fc
  .record({
    workloads: fc.constantFrom<Offer['workloads']>(
      ['Serve'],
      ['Serve'],
      ['Serve', 'Train'],
      ['Serve', 'Train'],
      ['Train'],
    ),
    gpuModel: fc.constantFrom('H200', 'L4'),
    free: fc.constantFrom('None' as const, 'Few' as const, 'Some' as const, 'Many' as const),
    dataClasses: fc.subarray([...dataClasses], { minLength: 3 }),
    price: fc.option(fc.integer({ min: 0, max: 1200 }), { nil: undefined }),
    closed: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  })
  .map(({ price, closed, ...rest }) => ({
    ...rest,
    ...(price !== undefined && { price: { currency: 'EUR', microsPerGPUHour: price } }),
    ...(closed && { opens: '2026-03-01T20:00:00Z' }),
  }))

/** One time in ten; else undefined. */
function seldom<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary })
}

const peer = (name: string): fc.Arbitrary<PeerFacts> =>
  fc
    .record({
      name: fc.constant(name),
      ownerKey: fc.constantFrom(...ownerKeys),
      maxReplicas: fc.integer({ min: 1, max: 4 }),
      current: fc.integer({ min: 0, max: 3 }),
      state: fc.record({
        exists: often,
        verified: often,
        connected: often,
        suspended: often.map((each) => !each),
      }),
      roundTripMilliseconds: fc.option(fc.constantFrom<number>(...roundTripBands), { nil: undefined }),
      offers: fc.option(fc.array(offer, { maxLength: 3 }), { nil: undefined }),
      refused: seldom(
        fc.record({
          atMost: fc.integer({ min: 0, max: 2 }),
          reasons: fc.constantFrom(['QuotaExceeded'], ['LicenceNotAllowed']),
        }),
      ),
      troubles: fc.integer({ min: 0, max: 5 }),
      sharePermille: fc.integer({ min: 0, max: 1000 }),
    })
    .map(defined)

const often = fc.integer({ min: 0, max: 19 }).map((n) => n > 0)

const policy = fc
  .record({
    peers: fc.subarray([...peerNames], { minLength: 1 }),
    dataClasses: fc.subarray([...dataClasses], { minLength: 2 }),
    money: fc.option(fc.integer({ min: 0, max: 24 * 1000 * 4 }), { nil: undefined }),
    suspend: often.map((each) => !each),
  })
  .map(({ peers, money, ...rest }) => ({
    ...rest,
    peers: peers.map((name) => ({ name })),
    ...(money !== undefined && { spendLimit: { currency: 'EUR', microsPerDay: money } }),
  }))

/** Everything that a decision can be made from, small enough to try out all distributions. */
export const anyFacts: fc.Arbitrary<PlacementFacts> = fc
  .record({
    strategy: fc.constantFrom(...strategies),
    total: fc.integer({ min: 0, max: 6 }),
    minOwners: fc.integer({ min: 1, max: 3 }),
    maxSharePerOwnerPermille: fc.constantFrom(1000, 1000, 500, 340),
    maxLatencyMilliseconds: fc.option(fc.constantFrom(5, 50, 500), { nil: undefined }),
    maxPrice: fc.option(fc.constant({ currency: 'EUR', microsPerGPUHour: highestPrice }), { nil: undefined }),
    namespace: fc.constant({ name: 'library', labels: { 'hansa.dev/data-class': 'Internal' } }),
    dataClass: fc.constantFrom('Internal' as const, 'Internal' as const, 'Confidential' as const),
    gpus: fc.constantFrom(0, 1, 1, 2),
    gpuModel: fc.option(fc.constantFrom('H200', 'L4'), { nil: undefined, freq: 3 }),
    withheld: seldom(fc.constant({ reason: 'NotPlaced', message: 'it lies on a claim' })),
    policies: fc
      .array(policy, { maxLength: 3 })
      .chain((specs) =>
        generous.map((also) => [...specs, ...(also ? [open] : [])].map((spec, i) => egressPolicy(`p${i}`, spec))),
      ),
    own: fc.record({
      current: fc.integer({ min: 0, max: 3 }),
      room: fc.integer({ min: 0, max: 5 }),
      maxReplicas: fc.integer({ min: 0, max: 5 }),
    }),
    peers: fc.subarray([...peerNames]).chain((names) => fc.tuple(...names.map(peer))),
  })
  .map(({ gpus, ...rest }) => ({
    ...defined(rest),
    gpus,
    resources: gpus === 0 ? {} : { limits: { 'nvidia.com/gpu': String(gpus) } },
    spent: () => 0,
  }))

const generous = fc.boolean()
const open = {
  peers: peerNames.map((name) => ({ name })),
  dataClasses: [...dataClasses],
  spendLimit: { currency: 'EUR', microsPerDay: 1_000_000_000 },
}

/** Leaves out what is undefined, as a spec that was read has it. */
function defined<T extends object>(record: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  // What is left has no undefined in it.
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>
  }
}

/** The facts after the plan was carried out. */
export function carriedOut(facts: PlacementFacts, decide: Decide): PlacementFacts {
  const counts = new Map(decide(facts).candidates.map(({ name, replicas }) => [name, replicas]))
  const at = (name: string) => counts.get(name) ?? 0
  return {
    ...facts,
    own: { ...facts.own, current: at(ownName) },
    peers: facts.peers.map((each) => ({ ...each, current: at(each.name) })),
  }
}

/** Carries plans out until the next one changes nothing; undefined where that does not come. */
export function settled(facts: PlacementFacts, decide: Decide): PlacementFacts | undefined {
  let before = facts
  for (let round = 0; round < 12; round++) {
    const after = carriedOut(before, decide)
    if (JSON.stringify(countsOf(after)) === JSON.stringify(countsOf(before))) return after
    before = after
  }
  return undefined
}

export function countsOf({ own, peers }: PlacementFacts): Record<string, number> {
  return Object.fromEntries([[ownName, own.current], ...peers.map(({ name, current }) => [name, current] as const)])
}

export { decidePlacement }
