import { roundFaults } from './partition-sim/real/faults.ts'
import { realScenarios } from './partition-sim/real/scenarios.ts'
import { simulation } from './partition-sim/simulation.ts'

const runs = 1_000
const seed = 5
const scenarios = 50
/** Each plays every fault of an operator or etcd once. */
const passes = 2

export const promise = {
  id: 'partition-sim',
  claim:
    'Leases between owners stay right under partition, crash, lost replies, clock drift, restart and restored state: no result of an older epoch or attempt counts, no training counts twice or runs at two owners at once, nothing is deleted because a link came back, deletion waits for nobody, and both sides agree again afterwards.',
  aim: `${runs} simulated runs, 0 broken; every fault and state reached; every mutant of the protocol noticed; ${scenarios} scenarios (Serve) with the real controllers on real API servers, 0 broken, mutants noticed there too`,
}

/** First the simulation of the product's own functions, then its controllers on two real control planes. */
export async function run(report: (line: string) => void): Promise<{ figures: string; holds: boolean }> {
  const simulated = simulation(report, { seed, runs })
  const real = await realScenarios(report, {
    seed,
    passes,
    perRound: Math.ceil(scenarios / (passes * roundFaults.length)),
  })
  const figures = [
    `n=${simulated.runs} simulated runs (seed ${seed})`,
    `${simulated.broken} broken`,
    `${simulated.missing.length} faults or states not reached`,
    `${simulated.killed} of ${simulated.mutants} mutants noticed`,
    `n=${real.scenarios} scenarios on real API servers`,
    `${real.broken} broken`,
    `${real.notRun} not counted because their fault did not happen`,
    `${real.killed} of ${real.mutants} mutants noticed`,
  ].join(', ')
  const simulationHolds =
    simulated.runs === runs &&
    simulated.broken === 0 &&
    simulated.missing.length === 0 &&
    simulated.killed === simulated.mutants
  const realHolds = real.scenarios >= scenarios && real.broken === 0 && real.killed === real.mutants
  return { figures, holds: simulationHolds && realHolds }
}
