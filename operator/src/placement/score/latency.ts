import { roundTripBand, roundTripBands } from '../../federation/round-trip.ts'
import type { Judged } from '../judge.ts'

/** This cluster is 1000, and each band costs 100; what was not measured counts as 200 ms. */
export function latencyScore({ peer }: Judged): number {
  if (peer === undefined) return 1000
  const band = roundTripBand(peer.roundTripMilliseconds ?? 200)
  return 1000 - 100 * (roundTripBands.indexOf(band) + 1)
}
