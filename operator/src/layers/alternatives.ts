import type { LeasePrice } from '../api/owner-scalars.ts'
import { ownName, type Strategy } from '../api/placement.ts'
import { type Measures, measure } from './measure.ts'

/** A place that workers could run in. */
export type Choice = {
  /** Name of the Peer, or `own`. */
  readonly owner: string
  readonly ownerKey: string
  /** Undefined: not known. Own workers are 0 here: what one's own machines cost is not in any object. */
  readonly price: LeasePrice | 'Free' | undefined
  /** Round trip that a request to it takes longer; undefined: not measured. */
  readonly latencyMilliseconds?: number | undefined
  /** Most workers that it is known to have room for; undefined: as many as one likes. */
  readonly mostWorkers?: number | undefined
}

export type Alternative = {
  /** What is done: all here, all at the cheapest peer, spread evenly over so many owners, or what a strategy would do. */
  readonly name: 'Now' | 'AllOwn' | 'CheapestPeer' | `Over${number}` | Strategy
  readonly places: readonly { owner: string; workers: number }[]
  /** Workers that no place has room for. */
  readonly short: number
  /** Cost of the leases for an hour, one entry a currency. */
  readonly perHour: readonly { currency: string; micros: number }[]
  /** Places whose price is not known; `perHour` lacks them. */
  readonly unpriced: readonly string[]
  /** Round trip that a request takes longer, mean over workers and longest; absent where a place is not measured. */
  readonly latencyMilliseconds?: { mean: number; longest: number }
  readonly measures: Measures
}

export type AlternativesInput = {
  /** Workers in all. */
  readonly workers: number
  readonly gpusPerWorker: number
  /** Prices in this currency come before others; they cannot be compared. */
  readonly currency?: string | undefined
  readonly choices: readonly Choice[]
  /** Ready workers as they are, by place. */
  readonly now: readonly { owner: string; workers: number }[]
}

/** A place with the workers that it gets. */
export type Filled = { choice: Choice; workers: number }

/** What the service would cost, and how spread it would be, if its workers were elsewhere. */
export function alternatives(input: AlternativesInput): Alternative[] {
  const { workers, now } = input
  const choices = input.choices.toSorted((a, b) => byPrice(a, b, input.currency))
  const own = choices.filter(({ owner }) => owner === ownName)
  const others = choices.filter(({ ownerKey }) => ownerKey !== ownName)
  const placed = now.flatMap(({ owner, workers: count }) => {
    const choice = choices.find((each) => each.owner === owner)
    return [{ choice: choice ?? { owner, ownerKey: owner, price: undefined }, workers: count }]
  })
  const { gpusPerWorker } = input
  const found = [alternativeOf('Now', placed, 0, gpusPerWorker)]
  const add = (name: Alternative['name'], filled: Filled[]) => {
    const short = workers - filled.reduce((sum, each) => sum + each.workers, 0)
    found.push(alternativeOf(name, filled, short, gpusPerWorker))
  }
  if (own.length > 0) add('AllOwn', inTurn(own, workers))
  if (others.length > 0) add('CheapestPeer', inTurn(others, workers))
  const owners = cheapestOfEach([...own, ...others])
  for (let count = 2; count <= Math.min(owners.length, workers); count += 1) {
    add(`Over${count}`, evenly(owners.slice(0, count), workers))
  }
  return found
}

/** Free first, then the wanted currency, then by price; not priced last. */
function byPrice(a: Choice, b: Choice, currency: string | undefined): number {
  const rank = ({ price }: Choice) => {
    if (price === undefined) return 3
    if (price === 'Free' || price.microsPerGPUHour === 0) return 0
    return currency === undefined || price.currency === currency ? 1 : 2
  }
  const micros = ({ price }: Choice) => (price === undefined || price === 'Free' ? 0 : price.microsPerGPUHour)
  const latency = ({ latencyMilliseconds = Number.MAX_SAFE_INTEGER }: Choice) => latencyMilliseconds
  return rank(a) - rank(b) || micros(a) - micros(b) || latency(a) - latency(b) || (a.owner < b.owner ? -1 : 1)
}

function cheapestOfEach(choices: readonly Choice[]): Choice[] {
  return choices.filter(({ ownerKey }, index) => choices.findIndex((each) => each.ownerKey === ownerKey) === index)
}

/** The first takes what it has room for, the next the rest. */
function inTurn(choices: readonly Choice[], workers: number): Filled[] {
  let left = workers
  return choices.flatMap((choice) => {
    const taken = Math.min(left, choice.mostWorkers ?? left)
    left -= taken
    return taken > 0 ? [{ choice, workers: taken }] : []
  })
}

/** One after the other gets a worker, as long as it has room. */
function evenly(choices: readonly Choice[], workers: number): Filled[] {
  const filled = choices.map((choice) => ({ choice, workers: 0 }))
  for (let left = workers; left > 0; ) {
    const open = filled.filter(({ choice, workers: has }) => has < (choice.mostWorkers ?? Number.POSITIVE_INFINITY))
    if (open.length === 0) break
    for (const each of open.slice(0, left)) each.workers += 1
    left -= Math.min(left, open.length)
  }
  return filled.filter((each) => each.workers > 0)
}

/** Cost, latency and measures of one way to place workers. */
export function alternativeOf(
  name: Alternative['name'],
  filled: readonly Filled[],
  short: number,
  gpusPerWorker: number,
): Alternative {
  const money = new Map<string, number>()
  const unpriced: string[] = []
  const byOwner = new Map<string, number>()
  for (const { choice, workers } of filled) {
    const { price, owner, ownerKey } = choice
    byOwner.set(ownerKey, (byOwner.get(ownerKey) ?? 0) + workers)
    if (price === undefined) unpriced.push(owner)
    else if (price !== 'Free') {
      const micros = price.microsPerGPUHour * gpusPerWorker * workers
      money.set(price.currency, (money.get(price.currency) ?? 0) + micros)
    }
  }
  const latency = latencyOf(filled)
  return {
    name,
    places: filled.map(({ choice, workers }) => ({ owner: choice.owner, workers })),
    short,
    perHour: [...money].sort().map(([currency, micros]) => ({ currency, micros })),
    unpriced,
    ...(latency !== undefined && { latencyMilliseconds: latency }),
    measures: measure(
      [...byOwner.values()].map((workers) => ({ least: workers, most: workers })),
      1,
    ),
  }
}

function latencyOf(filled: readonly Filled[]): Alternative['latencyMilliseconds'] {
  const workers = filled.reduce((sum, each) => sum + each.workers, 0)
  let sum = 0
  let longest = 0
  for (const { choice, workers: count } of filled) {
    const { latencyMilliseconds } = choice
    if (latencyMilliseconds === undefined) return undefined
    sum += latencyMilliseconds * count
    longest = Math.max(longest, latencyMilliseconds)
  }
  return workers === 0 ? undefined : { mean: Math.round(sum / workers), longest }
}
