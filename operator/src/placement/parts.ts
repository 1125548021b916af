import type { RemoteWork } from '../api/remote-work.ts'
import type { PartState } from './part-state.ts'

/** One RemoteWork of several that together are a peer's workers. */
export type Part = { work: RemoteWork; state: PartState }

/** What is asked in addition, and which parts go. */
export type PartsPlan = { ask: number[]; remove: RemoteWork[] }

/** More than that are brought together, so that requests at a peer stay few. */
const mostParts = 4
/** Combinations are tried out; parts that are left over when something went wrong are few. */
const mostTried = 10

/**
 * Which parts make up `wanted` workers at a peer. A RemoteWork cannot change, and to ask for five instead of three anew would need room
 * for eight; so what is missing is asked for as a further part. To get smaller, or to bring parts together, a new part is asked for and the
 * old ones go when the rest is settled. A part that failed counts only where `keepFailed`.
 */
export function planParts(wanted: number, parts: readonly Part[], keepFailed: boolean): PartsPlan {
  const usable = parts.filter(({ state }) => keepFailed || state !== 'Failed').toSorted(byUse)
  const tried = usable.slice(0, mostTried)
  const exact = bestSubset(tried, (size) => size === wanted)
  const base = exact ?? bestSubset(tried, (size) => size < wanted, mostParts - 1) ?? []
  const missing = wanted - sizeOf(base)
  const remove = parts.filter((part) => !base.includes(part))
  const settled = sizeOf(base.filter(({ state }) => state === 'Settled'))
  return { ask: missing > 0 ? [missing] : [], remove: leaving(remove, wanted - settled).map(({ work }) => work) }
}

/** Of the parts that are to go those that can go now: settled ones stay while they are needed, the smallest that will do. */
function leaving(parts: readonly Part[], needed: number): Part[] {
  let left = needed
  const kept = new Set<Part>()
  for (const part of parts.filter(({ state }) => state === 'Settled').toSorted(byUse)) {
    if (left <= 0) break
    kept.add(part)
    left -= part.work.spec.work.replicas
  }
  return parts.filter((part) => !kept.has(part))
}

/** The combination that has the most settled workers, then the most workers, then the fewest parts. */
function bestSubset(parts: readonly Part[], fits: (size: number) => boolean, most = mostTried): Part[] | undefined {
  let best: { chosen: Part[]; rank: number } | undefined
  for (let mask = 0; mask < 2 ** parts.length; mask++) {
    const chosen = parts.filter((_, i) => Math.floor(mask / 2 ** i) % 2 === 1)
    if (chosen.length > most || !fits(sizeOf(chosen))) continue
    const settled = sizeOf(chosen.filter(({ state }) => state === 'Settled'))
    const rank = settled * 1e6 + sizeOf(chosen) * 100 - chosen.length
    if (best === undefined || rank > best.rank) best = { chosen, rank }
  }
  return best?.chosen
}

function sizeOf(parts: readonly Part[]): number {
  return parts.reduce((sum, { work }) => sum + work.spec.work.replicas, 0)
}

const order: Readonly<Record<PartState, number>> = { Settled: 0, Coming: 1, Failed: 2 }

function byUse(one: Part, other: Part): number {
  return order[one.state] - order[other.state] || (one.work.metadata.name < other.work.metadata.name ? -1 : 1)
}
