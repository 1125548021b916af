import { simulation } from './partition-sim/simulation.ts'

const runs = 1_000
const seed = 5
const realScenarios = 50

export const promise = {
  id: 'partition-sim',
  claim:
    'Leases between owners stay right under partition, crash, lost replies, clock drift, restart and restored state: no result of an older epoch or attempt counts, no training counts twice or runs at two owners at once, nothing is deleted because a link came back, deletion waits for nobody, and both sides agree again afterwards.',
  aim: `${runs} simulated runs, 0 broken; every fault and state reached; every mutant of the protocol noticed; ${realScenarios} scenarios on real API servers, 0 broken`,
}

/** First the simulation of the product's own functions; the scenarios on real API servers follow. */
export async function run(report: (line: string) => void): Promise<{ figures: string; holds: boolean }> {
  const simulated = simulation(report, { seed, runs })
  const figures = [
    `n=${simulated.runs} simulated runs (seed ${seed})`,
    `${simulated.broken} broken`,
    `${simulated.missing.length} faults or states not reached`,
    `${simulated.killed} of ${simulated.mutants} mutants noticed`,
    '0 scenarios on real API servers',
  ].join(', ')
  return { figures, holds: false }
}
