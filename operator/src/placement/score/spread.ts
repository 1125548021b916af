import type { Strategy } from '../../api/placement.ts'
import { unit } from './value.ts'

/** What each worker that an owner has already takes from the value of its next one: with MostResilient more than anything else. */
export function spreadCost(strategy: Strategy): number {
  return strategy === 'MostResilient' ? 1000 * unit : 0
}
