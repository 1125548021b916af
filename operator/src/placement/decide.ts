import { distribute } from './distribute.ts'
import type { PlacementFacts } from './input.ts'
import { type Judged, judge } from './judge.ts'
import { spreadCost } from './score/spread.ts'
import { stayingValue } from './score/stickiness.ts'
import { appraise, type Valued } from './score/value.ts'

/** An owner's cluster with what was found, and what it gets. */
export type Candidate = Judged & Valued & { replicas: number }

export type Decision = {
  /** Those who get workers first, then by score, then by name; all that were looked at. */
  candidates: Candidate[]
  /** Workers for which nobody was found. */
  unplaced: number
}

/** Decides how many workers each owner gets: filter, score, distribute. Pure. */
export function decidePlacement(facts: PlacementFacts): Decision {
  const valued = judge(facts).map((each) => ({ ...each, ...appraise(each, facts) }))
  const counts = distribute(valued, {
    total: facts.total,
    minOwners: facts.minOwners,
    mostPerOwner: mostPerOwner(facts),
    stayingValue,
    spreadCost: spreadCost(facts.strategy),
  })
  const candidates = valued.map((each) => ({ ...each, replicas: counts.get(each.name) ?? 0 })).sort(byRank)
  return { candidates, unplaced: facts.total - candidates.reduce((sum, { replicas }) => sum + replicas, 0) }
}

/** One at least, or nobody could have any. */
export function mostPerOwner({ total, maxSharePerOwnerPermille }: PlacementFacts): number {
  return Math.max(1, Math.floor((total * maxSharePerOwnerPermille) / 1000))
}

function byRank(one: Candidate, other: Candidate): number {
  const out = (each: Candidate) => (each.rejections.length > 0 ? 1 : 0)
  return (
    other.replicas - one.replicas ||
    out(one) - out(other) ||
    other.value - one.value ||
    (one.name < other.name ? -1 : 1)
  )
}
