/** One place: what the plan gives it, what it has, and what of that is ready. */
export type Phase = { name: string; planned: number; current: number; ready: number }

/**
 * How many workers each place shall have now: it takes what the plan gives it at once, and gives nothing up before as many workers are
 * ready elsewhere. So in between there are more workers than wanted, never fewer.
 */
export function afterReady(places: readonly Phase[], total: number): Map<string, number> {
  const readyFor = ({ planned, ready }: Phase) => Math.min(planned, ready)
  const all = places.reduce((sum, each) => sum + readyFor(each), 0)
  return new Map(
    places.map((each) => {
      const missing = Math.max(0, total - (all - readyFor(each)))
      return [each.name, Math.max(each.planned, Math.min(each.current, missing))]
    }),
  )
}
