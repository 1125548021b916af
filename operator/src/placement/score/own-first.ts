import type { Judged } from '../judge.ts'

/** This cluster before all others. */
export function ownScore({ peer }: Judged): number {
  return peer === undefined ? 1000 : 0
}
