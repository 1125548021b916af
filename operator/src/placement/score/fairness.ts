import type { Judged } from '../judge.ts'

/** Who carries little of our other services comes first. */
export function fairnessScore({ peer }: Judged): number {
  return 1000 - (peer?.sharePermille ?? 0)
}
