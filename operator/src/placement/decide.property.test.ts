import { expect, test } from 'vitest'
import { campaign } from '../../../test/fault/placement-properties/campaign.ts'
import { mutants } from '../../../test/fault/placement-properties/mutants.ts'
import { decidePlacement } from './decide.ts'

// `npm run promise -- placement-properties` does the same with more cases.
test('plans stay within policy, are the best that it allows, and move little', () => {
  expect(campaign(decidePlacement, { runs: 300, seed: 1 })).toBeUndefined()
}, 30_000)

test('a planner with a fault is noticed', () => {
  for (const name of ['asks no EgressPolicy', 'takes any price', 'knows no largest share', 'gives no reasons']) {
    expect(campaign(mutants[name] ?? decidePlacement, { runs: 1_000, seed: 1 }), name).toBeDefined()
  }
}, 30_000)
