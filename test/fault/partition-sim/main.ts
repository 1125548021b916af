import { campaign, retell } from './campaign.ts'
import { protocol } from './protocol.ts'

// node test/fault/partition-sim/main.ts SEED RUNS: other runs than the promise's, for people who look for trouble.
const [seed = '1', runs = '1000'] = process.argv.slice(2)
const { failure, runs: done } = campaign(protocol, { seed: Number(seed), runs: Number(runs), shrinks: true })
if (failure !== undefined) for (const line of retell(failure.found, protocol)) console.log(line)
console.log(`seed ${seed}: ${done} runs, ${failure === undefined ? 'no rule broken' : failure.message}`)
process.exitCode = failure === undefined ? 0 : 1
