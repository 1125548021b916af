import type { PeerFacts, PlacementFacts, Rejection } from '../input.ts'

/** A round trip that was measured and is too long; what was not measured is not left out. */
export function againstLatency({ roundTripMilliseconds }: PeerFacts, facts: PlacementFacts): Rejection[] {
  const { maxLatencyMilliseconds: most } = facts
  if (most === undefined || roundTripMilliseconds === undefined || roundTripMilliseconds <= most) return []
  return [{ reason: 'TooFar', message: `its round trip is up to ${roundTripMilliseconds} ms, more than ${most} ms` }]
}
