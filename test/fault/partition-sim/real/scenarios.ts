import { type RoundFault, roundFaults } from './faults.ts'
import { type Mutant, mutants } from './mutants.ts'
import { type Judged, round } from './round.ts'
import { type Stage, startStage } from './stage.ts'

const mostRepeats = 3

export type Real = {
  readonly scenarios: number
  readonly notRun: number
  readonly broken: number
  readonly killed: number
  readonly mutants: number
}

/**
 * `passes` times a round for each fault of an operator or etcd, with `perRound` scenarios at once, on two real control planes; then the
 * mutants.
 */
export async function realScenarios(
  report: (line: string) => void,
  { seed, passes, perRound }: { seed: number; passes: number; perRound: number },
): Promise<Real> {
  const began = performance.now()
  const seconds = () => `${((performance.now() - began) / 1_000).toFixed(0)} s`
  const stage = await startStage(perRound, seed, report)
  report(`two owners, joined ${perRound} times: ${seconds()}`)
  try {
    const judged: Judged[] = []
    let broken = 0
    const play = async (fault: RoundFault, roundSeed: number, count: number) => {
      const result = await round(stage, fault, roundSeed, count)
      judged.push(...result.judged)
      broken += new Set(result.violations.map(({ requestId }) => requestId)).size
      const counts = [...result.counts].map(([what, times]) => `${what} ${times}`).join(', ')
      report(`${fault}: ${count} scenarios, ${seconds()}; ${counts}`)
      report(`  valid on both sides at the heal: ${result.healed}, the same after it: ${result.survived}`)
      for (const { name, faults, missed } of result.judged) {
        if (missed.length > 0) report(`  not run: ${name} (${faults.join(', ')}): ${missed.join(', ')} did not happen`)
      }
      report(`  so far work ran at most ${stage.judge.latestMs} ms after the time that was signed`)
      for (const { check, message } of result.violations) report(`  BROKEN ${check}: ${message}`)
    }
    const rounds = Array.from({ length: passes }, () => roundFaults).flat()
    for (const [index, fault] of rounds.entries()) await play(fault, seed + index, perRound)
    // On a busy machine a lease is over before its fault comes; others are played in place of those.
    for (let again = 0; again < mostRepeats; again++) {
      const missing = judged.filter(hasMissed).length - (judged.length - perRound * rounds.length)
      const fault = judged.find(hasMissed)?.round
      if (missing <= 0 || fault === undefined) break
      await play(fault, seed + rounds.length + again, missing)
    }
    const { ends, latestMs } = stage.judge
    report(`at the executor work ran at most ${latestMs} ms after the time that was signed`)
    report(`ended by cancel ${ends.cancelled}, by the end of the lease ${ends.expired}`)
    let killed = 0
    for (const [index, mutant] of mutants.entries()) {
      if (await isNoticed(stage, mutant, seed + 100 + index, report)) killed++
    }
    report(`all: ${seconds()}`)
    const notRun = judged.filter(hasMissed).length
    return { scenarios: judged.length - notRun, notRun, broken, killed, mutants: mutants.length }
  } finally {
    await stage.stop()
  }
}

function hasMissed({ missed }: Judged): boolean {
  return missed.length > 0
}

async function isNoticed(
  stage: Stage,
  { name, fault, check, change }: Mutant,
  seed: number,
  report: (line: string) => void,
): Promise<boolean> {
  const { executor } = stage.owners
  await executor.crash()
  executor.change = change()
  await executor.run()
  try {
    const { violations } = await round(stage, fault, seed, 3)
    const noticed = violations.find((each) => each.check === check)
    report(noticed === undefined ? `SURVIVED: ${name}` : `mutant noticed by "${check}": ${name}`)
    return noticed !== undefined
  } finally {
    await executor.crash()
    executor.change = {}
    await executor.run()
  }
}
