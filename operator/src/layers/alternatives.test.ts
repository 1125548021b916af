import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type AlternativesInput, alternatives, type Choice } from './alternatives.ts'

const euro = (microsPerGPUHour: number) => ({ currency: 'EUR', microsPerGPUHour })
const own: Choice = { owner: 'own', ownerKey: 'own', price: 'Free', latencyMilliseconds: 0 }
const lab: Choice = { owner: 'lab', ownerKey: 'university', price: euro(400_000), latencyMilliseconds: 12 }
const clinic: Choice = { owner: 'clinic', ownerKey: 'clinic', price: euro(300_000), latencyMilliseconds: 40 }
const input: AlternativesInput = {
  workers: 6,
  gpusPerWorker: 2,
  choices: [own, lab, clinic],
  now: [
    { owner: 'own', workers: 4 },
    { owner: 'lab', workers: 2 },
  ],
}
const named = (name: string, changes: Partial<AlternativesInput> = {}) => {
  const found = alternatives({ ...input, ...changes }).find((each) => each.name === name)
  if (found === undefined) throw new Error(`no alternative ${name}`)
  return found
}

test('as it is, all here, all at the cheapest peer, spread over two and three owners', () => {
  const rows = alternatives(input).map(({ name, places, perHour, latencyMilliseconds, measures }) => [
    name,
    places.map(({ owner, workers }) => `${owner} ${workers}`).join(' '),
    perHour,
    latencyMilliseconds,
    measures.ownersToStop.most,
    measures.herfindahl,
  ])
  const cost = (micros: number) => [{ currency: 'EUR', micros }]
  expect(rows).toEqual([
    ['Now', 'own 4 lab 2', cost(1_600_000), { mean: 4, longest: 12 }, 2, 5556],
    ['AllOwn', 'own 6', [], { mean: 0, longest: 0 }, 1, 10_000],
    ['CheapestPeer', 'clinic 6', cost(3_600_000), { mean: 40, longest: 40 }, 1, 10_000],
    ['Over2', 'own 3 clinic 3', cost(1_800_000), { mean: 20, longest: 40 }, 2, 5000],
    ['Over3', 'own 2 clinic 2 lab 2', cost(2_800_000), { mean: 17, longest: 40 }, 3, 3333],
  ])
})

test('what has no room goes to the next, and what finds none is said', () => {
  const small = { ...clinic, mostWorkers: 1 }
  expect(named('CheapestPeer', { choices: [own, lab, small] }).places).toEqual([
    { owner: 'clinic', workers: 1 },
    { owner: 'lab', workers: 5 },
  ])
  expect(named('AllOwn', { choices: [{ ...own, mostWorkers: 2 }] }).short).toBe(4)
})

test('two clusters of one owner are one owner, the cheaper of them', () => {
  const second: Choice = { ...lab, owner: 'gpu', price: euro(350_000) }
  expect(named('Over3', { choices: [own, lab, second, clinic] }).places.map(({ owner }) => owner)).toEqual([
    'own',
    'clinic',
    'gpu',
  ])
  expect(alternatives({ ...input, choices: [own, lab, second] }).map(({ name }) => name)).not.toContain('Over3')
})

test('a price or a latency that is not known is not made up', () => {
  const unknown: Choice = { owner: 'lab', ownerKey: 'university', price: undefined }
  expect(named('Over2', { choices: [own, unknown] })).toMatchObject({ perHour: [], unpriced: ['lab'] })
  expect(named('Over2', { choices: [own, unknown] })).not.toHaveProperty('latencyMilliseconds')
})

test('currencies are not added up; the wanted one comes first', () => {
  const dollars: Choice = { ...lab, price: { currency: 'USD', microsPerGPUHour: 1 } }
  const choices = [own, dollars, clinic]
  expect(named('Over3', { choices }).perHour).toEqual([
    { currency: 'EUR', micros: 1_200_000 },
    { currency: 'USD', micros: 4 },
  ])
  expect(named('CheapestPeer', { choices, currency: 'EUR' }).places).toEqual([{ owner: 'clinic', workers: 6 }])
})

test('every alternative places all workers that there is room for, and nobody more than it has room for', () => {
  const choice = fc.record({
    mostWorkers: fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined }),
    micros: fc.integer({ min: 0, max: 9 }),
    ownerKey: fc.constantFrom('a', 'b', 'c', 'd'),
  })
  fc.assert(
    fc.property(fc.array(choice, { maxLength: 5 }), fc.integer({ min: 0, max: 12 }), (peers, workers) => {
      const choices: Choice[] = [
        own,
        ...peers.map(({ mostWorkers, micros, ownerKey }, index) => ({
          owner: `p${index}`,
          ownerKey,
          price: euro(micros),
          mostWorkers,
        })),
      ]
      for (const { name, places, short } of alternatives({ ...input, workers, choices, now: [] })) {
        if (name === 'Now') continue
        expect(places.reduce((sum, each) => sum + each.workers, 0) + short).toBe(workers)
        for (const { owner, workers: count } of places) {
          const room = choices.find((each) => each.owner === owner)?.mostWorkers
          expect(count).toBeLessThanOrEqual(room ?? workers)
        }
      }
    }),
  )
})
