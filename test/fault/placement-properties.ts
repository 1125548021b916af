import { campaign } from './placement-properties/campaign.ts'
import { checks } from './placement-properties/checker.ts'
import { decidePlacement } from './placement-properties/facts.ts'
import { mutants } from './placement-properties/mutants.ts'

const runs = 10_000
const mutantRuns = 3_000
const seed = 6

export const promise = {
  id: 'placement-properties',
  claim:
    'Where workers are placed is never outside policy, is the best that policy allows by a checker that tries out every distribution, gives a cheaper offer never less (Cheapest), comes to rest, moves no other worker for one more or less and none to and fro for a tenth in price, and is the same for equal inputs; what is left out has a reason.',
  aim: `${runs} random cases for each of ${Object.keys(checks).length} properties, 0 broken; every mutant of the planner noticed`,
}

export async function run(report: (line: string) => void): Promise<{ figures: string; holds: boolean }> {
  const broken = campaign(decidePlacement, { runs, seed })
  if (broken !== undefined) report(`${broken.check}: ${broken.problem}`)
  const names = Object.entries(mutants)
  let noticed = 0
  for (const [name, mutant] of names) {
    const found = campaign(mutant, { runs: mutantRuns, seed })
    if (found === undefined) report(`NOT noticed: a planner that ${name}`)
    else noticed++
    if (found !== undefined) report(`a planner that ${name}: noticed by "${found.check}"`)
  }
  const figures = [
    `n=${runs} cases for each of ${Object.keys(checks).length} properties (seed ${seed})`,
    broken === undefined ? '0 broken' : `broken: ${broken.check}`,
    `${noticed} of ${names.length} mutants noticed`,
  ].join(', ')
  return { figures, holds: broken === undefined && noticed === names.length }
}
