import { realScenarios } from './scenarios.ts'

const [seed = '5', passes = '2', perRound = '5'] = process.argv.slice(2)
const report = (line: string) => process.stdout.write(`${line}\n`)
const { scenarios, notRun, broken, killed, mutants } = await realScenarios(report, {
  seed: Number(seed),
  passes: Number(passes),
  perRound: Number(perRound),
})
report(`${scenarios} scenarios, ${notRun} not run, ${broken} broken, ${killed} of ${mutants} mutants noticed`)
process.exitCode = broken > 0 || killed < mutants ? 1 : 0
