import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { cacheFolder } from '../cluster/hansa/cache-folder.ts'
import { condition, read } from '../cluster/hansa/conditions.ts'
import { type Federation, startFederation } from '../cluster/hansa/federation.ts'
import { repository } from '../cluster/hansa/images.ts'
import type { Installation } from '../cluster/hansa/installation.ts'
import { checks } from './checks.ts'
import { writeEnvironment } from './environment.ts'
import { federationChecks } from './federation-checks.ts'
import { bold, dim, green, progress, red } from './progress.ts'
import { readerClient, showCommands, showFederation, showSome } from './show.ts'
import { spreadChecks } from './spread-checks.ts'
import { eventually } from './wait.ts'

const help = `npm run demo              three owners' clusters on this machine, joined, one serving a model; Ctrl-C ends it
npm run demo -- --once    the same unattended: checks what it promises, prints a table, exits 0 only if all holds`

const { values } = parseArgs({
  options: { once: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
})
if (values.help) {
  console.log(help)
  process.exit(0)
}

/** Claims and checkpoints every few seconds, in place of each minute. */
const quickLedger = {
  'ledger.extraEnv[0].name': 'HANSA_LEDGER_CLAIM_SECONDS',
  'ledger.extraEnv[0].value': '5',
  'ledger.extraEnv[1].name': 'HANSA_LEDGER_CHECKPOINT_SECONDS',
  'ledger.extraEnv[1].value': '5',
}

let federation: Federation | undefined
let stopping = false
async function stop(code: number): Promise<void> {
  if (stopping) return
  stopping = true
  progress('stopping everything')
  await federation?.stop()
  process.exit(code)
}
process.on('SIGINT', () => void stop(130))
process.on('SIGTERM', () => void stop(143))

async function serveDigits({ owner }: Installation): Promise<string> {
  progress('kubectl apply -f examples/digits.yaml')
  const { code, stderr } = await owner.kubectl(['apply', '-f', join(repository, 'examples/digits.yaml')])
  if (code !== 0) throw new Error(stderr)
  let told = ''
  return eventually(
    'InferenceService digits is Ready',
    async () => {
      const seen = await read(owner, 'inferenceservice', 'digits', 'digits')
      const ready = condition(seen, 'Ready')
      const says = ready === undefined ? 'not seen yet' : `${ready.reason}: ${ready.message}`
      if (says !== told) progress(`  digits: ${says}`)
      told = says
      if (ready?.status === 'True') return seen?.status.url
      throw new Error(says)
    },
    { seconds: 120 },
  )
}

async function runChecks(running: Federation, first: Installation, url: string): Promise<boolean> {
  const client = await readerClient(first)
  const rows: { name: string; holds: boolean; seen: string }[] = []
  for (const check of [...checks(first, url, client), ...federationChecks(running), ...spreadChecks(running, client)]) {
    progress(`check: ${check.name}`)
    const row = await check.run().then(
      (seen) => ({ name: check.name, holds: true, seen }),
      (error: unknown) => ({
        name: check.name,
        holds: false,
        seen: error instanceof Error ? error.message : String(error),
      }),
    )
    rows.push(row)
    progress(`  ${row.holds ? green('holds') : red('fails')}  ${row.seen}`)
  }
  await client.close()
  const width = Math.max(...rows.map(({ name }) => name.length))
  console.log(`\n${bold('What was checked')}`)
  for (const { name, holds, seen } of rows) {
    console.log(`  ${holds ? green('holds') : red('FAILS')}  ${name.padEnd(width)}  ${dim(seen.split('\n')[0] ?? '')}`)
  }
  const failed = rows.filter(({ holds }) => !holds).length
  console.log(`\n${rows.length - failed} of ${rows.length} checks hold`)
  return failed === 0
}

try {
  progress("starting three owners' clusters side by side: st-mary, university, and clinic, which nobody can dial")
  federation = await startFederation({
    owners: [
      { name: 'st-mary', nodes: 2, gpusPerNode: 2, values: quickLedger },
      { name: 'university', gpusPerNode: 2, values: quickLedger },
      { name: 'clinic', acceptsInbound: false, values: quickLedger },
    ],
    log: progress,
  })
  const stMary = federation.owner('st-mary')
  const url = await serveDigits(stMary)
  progress(`${green('ready')}: ${bold(url)}`)
  const client = await readerClient(stMary)
  await showSome(client, url)
  await client.close()
  if (values.once) {
    const holds = await runChecks(federation, stMary, url)
    await stop(holds ? 0 : 1)
  } else {
    const envs = await Promise.all(
      federation.owners.map((owner) => writeEnvironment(owner, cacheFolder(join('demo', owner.name)))),
    )
    showCommands(url, await writeEnvironment(stMary, cacheFolder('demo')))
    showFederation(envs)
    await new Promise(() => setInterval(() => undefined, 60_000))
  }
} catch (error) {
  console.error(red(error instanceof Error ? error.message : String(error)))
  await stop(1)
}
