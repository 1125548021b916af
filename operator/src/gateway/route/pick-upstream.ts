import { ownName } from '../../api/placement.ts'
import { candidatesOf, pickRevision } from './pick-worker.ts'
import type { Upstream } from './upstream.ts'

export type Choice = {
  /** Whether own workers come first while they have room. */
  ownFirst: boolean
  /** Requests that one worker is meant to have at once. */
  targetInFlight: number
  random: () => number
}

/**
 * Chooses among own workers and peers, of a revision drawn by its share of the traffic. With `ownFirst` own workers get what they have
 * room for, and peers the rest; else, and where nobody has room, the one where a request would wait least (ADR 0026).
 */
export function pickUpstream(
  upstreams: readonly Upstream[],
  tried: readonly Upstream[],
  { ownFirst, targetInFlight, random }: Choice,
): Upstream | undefined {
  const candidates = candidatesOf(upstreams, tried)
  const revision = pickRevision(candidates, random)
  const drawn =
    revision === undefined ? candidates : candidates.filter(({ endpoint }) => endpoint.revision === revision)
  const roomy = drawn.filter((each) => !each.isFull() && each.outstanding < each.capacity * targetInFlight)
  const own = ownFirst ? roomy.filter(({ owner }) => owner === ownName) : []
  return quickest(own.length > 0 ? own : roomy.length > 0 ? roomy : drawn, random)
}

// An upstream that has answered nothing yet and has a request under way is taken for slow until the answer comes.
const unknownMs = 1000

/** Peak EWMA: the time to the first byte of lately, for as many requests as a worker there would then have. */
function quickest(upstreams: readonly Upstream[], random: () => number): Upstream | undefined {
  let best: Upstream | undefined
  let least = Number.POSITIVE_INFINITY
  let ties = 0
  for (const each of upstreams) {
    const { latencyMs, outstanding, capacity } = each
    const usual = latencyMs ?? (outstanding === 0 ? 0 : unknownMs)
    // Half a millisecond more or less is noise, and one request beside none at a quick worker is no reason to go far.
    const cost = ((usual + 0.5) * (outstanding + capacity)) / capacity
    if (cost < least) {
      best = each
      least = cost
      ties = 1
    } else if (cost === least) {
      ties += 1
      if (random() * ties < 1) best = each
    }
  }
  return best
}
