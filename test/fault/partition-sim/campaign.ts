import fc from 'fast-check'
import type { Protocol } from './protocol.ts'
import { type Scenario, scenario } from './scenario.ts'
import { type Outcome, simulate } from './simulate.ts'

export type Campaign = {
  readonly runs: number
  /** In how many runs something happened at all. */
  readonly reached: ReadonlyMap<string, number>
  readonly failure:
    | { readonly run: number; readonly check: string; readonly message: string; readonly found: Scenario }
    | undefined
}

/** Runs scenarios that follow from `seed` until one breaks a rule. `shrinks`: then looks for a simpler one that does too. */
export function campaign(
  protocol: Protocol,
  { seed, runs, shrinks }: { seed: number; runs: number; shrinks: boolean },
): Campaign {
  const reached = new Map<string, number>()
  const last: { outcome: Outcome | undefined } = { outcome: undefined }
  const details = fc.check(
    fc.property(scenario, (found) => {
      const outcome = simulate(found, protocol)
      for (const what of outcome.counts.keys()) reached.set(what, (reached.get(what) ?? 0) + 1)
      if (outcome.violation !== undefined) last.outcome = outcome
      return outcome.violation === undefined
    }),
    { seed, numRuns: runs, endOnFailure: !shrinks },
  )
  if (!details.failed) return { runs: details.numRuns, reached, failure: undefined }
  if (details.counterexample === null) throw details.errorInstance
  const [found] = details.counterexample
  const violation = simulate(found, protocol).violation ?? last.outcome?.violation
  return {
    runs: details.numRuns,
    reached,
    failure: { run: details.numRuns, check: violation?.check ?? '', message: violation?.message ?? '', found },
  }
}

/** The run again, line by line, for people. */
export function retell(found: Scenario, protocol: Protocol): string[] {
  const { trace, violation } = simulate(found, protocol, true)
  return [`scenario: ${JSON.stringify(found)}`, ...trace, violation?.message ?? 'no rule broken']
}
