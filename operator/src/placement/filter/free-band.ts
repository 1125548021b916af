import type { Offer, PlacementFacts } from '../input.ts'

/** The most free GPUs that a band can mean. */
const mostFree: Readonly<Record<Offer['free'], number>> = {
  None: 0,
  Few: 3,
  Some: 15,
  Many: Number.POSITIVE_INFINITY,
}

/** The most further workers that the offers that fit may have GPUs for; what needs no GPU is not bounded by them. */
export function moreByBand(offers: readonly Offer[], { gpus }: PlacementFacts): number {
  if (gpus === 0 && offers.length > 0) return Number.POSITIVE_INFINITY
  return offers.reduce((sum, { free }) => sum + Math.floor(mostFree[free] / Math.max(1, gpus)), 0)
}
