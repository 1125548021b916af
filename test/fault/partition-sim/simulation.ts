import { campaign, retell } from './campaign.ts'
import { notReached } from './coverage.ts'
import { mutants } from './mutants.ts'
import { protocol } from './protocol.ts'

export type Simulated = {
  readonly runs: number
  readonly broken: number
  readonly missing: readonly string[]
  readonly killed: number
  readonly mutants: number
}

/** `runs` scenarios that follow from `seed` against the protocol, then against each mutant until it is noticed. */
export function simulation(report: (line: string) => void, { seed, runs }: { seed: number; runs: number }): Simulated {
  const began = performance.now()
  const { failure, reached, runs: done } = campaign(protocol, { seed, runs, shrinks: true })
  report(`simulation: seed ${seed}, ${done} runs in ${((performance.now() - began) / 1_000).toFixed(1)} s`)
  for (const what of [...reached.keys()].sort()) report(`  reached in ${reached.get(what)} runs: ${what}`)
  if (failure !== undefined) {
    report(`BROKEN in run ${failure.run} of seed ${seed}: ${failure.message}`)
    for (const line of retell(failure.found, protocol)) report(`  ${line}`)
  }
  const missing = notReached(reached)
  for (const what of missing) report(`never reached: ${what}`)
  let killed = 0
  for (const { name, protocol: mutated } of mutants) {
    const noticed = campaign(mutated, { seed, runs: runs * 2, shrinks: false }).failure
    if (noticed !== undefined) killed++
    report(
      noticed === undefined
        ? `SURVIVED: ${name}`
        : `mutant noticed in run ${noticed.run} by "${noticed.check}": ${name}`,
    )
  }
  return { runs: done, broken: failure === undefined ? 0 : 1, missing, killed, mutants: mutants.length }
}
