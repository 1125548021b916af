import { unit } from './value.ts'

/** What it is worth that a worker stays where it runs: a better place must be better by more than 150 of 1000. */
export const stayingValue = 150 * unit
