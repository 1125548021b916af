import type { Judged } from '../judge.ts'

/** Bands of measured round trips, in milliseconds: each value says `up to`. */
export const latencyBands = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] as const

/** The band of a measured round trip; what is longer than the last one is in the last one. */
export function latencyBand(milliseconds: number): (typeof latencyBands)[number] {
  return latencyBands.find((band) => milliseconds <= band) ?? 1000
}

/** This cluster is 1000, and each band costs 100; what was not measured counts as 200 ms. */
export function latencyScore({ peer }: Judged): number {
  if (peer === undefined) return 1000
  const band = latencyBand(peer.roundTripMilliseconds ?? 200)
  return 1000 - 100 * (latencyBands.indexOf(band) + 1)
}
