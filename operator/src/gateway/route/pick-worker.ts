import type { Upstream } from './upstream.ts'

/**
 * The worker with the fewest requests under way, of a revision drawn by its share of the traffic. Ejected workers are used only
 * when all are: a wrong guess about health must never take a whole service away.
 */
export function pickWorker<U extends Upstream>(
  workers: readonly U[],
  tried: readonly Upstream[],
  random: () => number,
): U | undefined {
  const candidates = candidatesOf(workers, tried)
  const revision = pickRevision(candidates, random)
  let best: U | undefined
  let ties = 0
  for (const worker of candidates) {
    if (revision !== undefined && worker.endpoint.revision !== revision) continue
    if (best === undefined || worker.outstanding < best.outstanding) {
      best = worker
      ties = 1
    } else if (worker.outstanding === best.outstanding) {
      // Every tied worker is equally likely, so that several gateways do not all choose the first one.
      ties += 1
      if (random() * ties < 1) best = worker
    }
  }
  return best
}

/** Those that were not tried and are healthy; where none is, all that may be asked at all. */
export function candidatesOf<U extends Upstream>(upstreams: readonly U[], tried: readonly Upstream[]): readonly U[] {
  const untried = tried.length === 0 ? upstreams : upstreams.filter((each) => !tried.includes(each))
  const healthy = untried.filter((each) => !each.isEjected())
  return healthy.length > 0 ? healthy : untried.filter((each) => !each.isOut())
}

/** Undefined when there is at most one revision, which is the common case. */
export function pickRevision(workers: readonly Upstream[], random: () => number): string | undefined {
  const first = workers[0]?.endpoint.revision
  if (workers.every(({ endpoint }) => endpoint.revision === first)) return undefined
  const percents = new Map(workers.map(({ endpoint }) => [endpoint.revision, endpoint.percent]))
  let point = random() * [...percents.values()].reduce((sum, percent) => sum + percent, 0)
  for (const [revision, percent] of percents) {
    point -= percent
    if (point < 0) return revision
  }
  return first
}
