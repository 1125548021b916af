import type { PlacementCandidate } from '../api/placement.ts'
import { ownName } from '../api/placement.ts'
import type { Candidate } from './decide.ts'

const most = 8
const mostReasons = 16

/** The best candidates as `status.candidates` says them, this cluster among them; `now` is what each shall have at this moment. */
export function statusCandidates(
  candidates: readonly Candidate[],
  now: ReadonlyMap<string, number>,
): PlacementCandidate[] {
  const own = candidates.filter(({ name }) => name === ownName)
  const others = candidates.filter(({ name }) => name !== ownName)
  return [...own, ...others.slice(0, most - own.length)].map(({ name, replicas, score, rejections }) => {
    const reasons = [...new Set(rejections.map(({ reason }) => reason))].slice(0, mostReasons)
    return {
      owner: name,
      replicas: now.get(name) ?? replicas,
      ...(reasons.length > 0 ? { reasons } : { score }),
    }
  })
}
