import type { PeerFacts, PlacementFacts, Rejection } from '../input.ts'

/** A Model that is not ours to hand out, or whose licence the peer did not accept. */
export function againstModel({ refused }: PeerFacts, { withheld, licence }: PlacementFacts): Rejection[] {
  if (withheld !== undefined) return [withheld]
  if (refused?.reasons.includes('LicenceNotAllowed') !== true) return []
  return [
    { reason: 'LicenceNotAllowed', message: `the peer does not run models under the licence ${licence ?? '(none)'}` },
  ]
}
