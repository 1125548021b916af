import fc from 'fast-check'
import { checks } from './checker.ts'
import { anyFacts, type Decide } from './facts.ts'

export type Broken = { check: string; problem: string }

/** Puts the planner through so many random cases for each property; stops at the first that is broken. */
export function campaign(decide: Decide, options: { runs: number; seed: number }): Broken | undefined {
  for (const [check, judge] of Object.entries(checks)) {
    const property = fc.property(anyFacts, (facts) => judge(facts, decide) === undefined)
    const { failed, counterexample } = fc.check(property, { numRuns: options.runs, seed: options.seed })
    if (!failed) continue
    const facts = counterexample?.[0]
    const problem = facts === undefined ? 'it threw' : judge(facts, decide)
    return { check, problem: `${problem}; facts ${JSON.stringify(facts)}` }
  }
  return undefined
}
