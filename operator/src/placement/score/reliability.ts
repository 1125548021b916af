import type { Judged } from '../judge.ts'

/** 1000 with no trouble in the last hour, 800 after one, 667 after two, and so on. */
export function reliabilityScore({ peer }: Judged): number {
  return Math.round(4000 / (4 + (peer?.troubles ?? 0)))
}
