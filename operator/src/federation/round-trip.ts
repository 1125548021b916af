/** Bands of measured round trips, in milliseconds: each value says `up to`. */
export const roundTripBands = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] as const
export type RoundTripBand = (typeof roundTripBands)[number]

/** The band of a round trip; what is longer than the last one is in the last one. */
export function roundTripBand(milliseconds: number): RoundTripBand {
  return roundTripBands.find((band) => milliseconds <= band) ?? 1000
}

const margin = 0.2

/** The band to tell of: another than before only when the measured time is clearly outside of it, so that it is told seldom. */
export function steadyBand(milliseconds: number, before: number | undefined): RoundTripBand {
  const band = roundTripBand(milliseconds)
  const at = (roundTripBands as readonly (number | undefined)[]).indexOf(before)
  const told = roundTripBands[at]
  if (told === undefined) return band
  const below = roundTripBands[at - 1] ?? 0
  const isInside = milliseconds > below * (1 - margin) && milliseconds <= told * (1 + margin)
  return isInside || (at === roundTripBands.length - 1 && milliseconds > told) ? told : band
}
