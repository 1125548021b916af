import type { PlacementFacts } from '../input.ts'
import type { Judged } from '../judge.ts'

/** Free is 1000, the highest price that is paid 0. */
export function priceScore({ priceMicros }: Judged, { maxPrice }: PlacementFacts): number {
  const most = maxPrice?.microsPerGPUHour ?? 0
  if (most === 0) return 1000
  return Math.floor((1000 * (most - Math.min(priceMicros, most))) / most)
}
