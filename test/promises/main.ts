import { readFile, writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { findPromises, type PromiseProgram } from './promise.ts'
import { promisesPage, readRecords, writeRecords } from './record.ts'

const root = resolve(import.meta.dirname, '../..')
const recordsPath = resolve(root, 'docs/promises.json')
const pagePath = resolve(root, 'docs/promises.md')

const help = `npm run promise                     list the promises
npm run promise -- ID [--record]     check one; exit 0 only if it holds; --record writes its figures into docs/promises.md
npm run promise -- --all [--record]  check each in turn
npm run promise -- --write | --check write docs/promises.md, or fail if it is not up to date`

async function check(program: PromiseProgram, record: boolean): Promise<boolean> {
  const { id, aim } = program.promise
  console.log(`${id}: ${program.promise.claim}`)
  const outcome = await program.run((line) => console.log(`  ${line}`))
  console.log(`${id}: ${outcome.figures}, aim ${aim}: ${outcome.holds ? 'holds' : 'falls short'}`)
  if (record) {
    const machine = `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`
    const records = await readRecords(recordsPath)
    records[id] = { ...outcome, date: new Date().toISOString().slice(0, 10), machine }
    await writeRecords(recordsPath, records)
    await writePage()
  }
  return outcome.holds
}

async function writePage(): Promise<void> {
  await writeFile(pagePath, promisesPage(await findPromises(root), await readRecords(recordsPath)))
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    record: { type: 'boolean', default: false },
    all: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const programs = await findPromises(root)
const [id] = positionals
if (values.help) {
  console.log(help)
} else if (values.write) {
  await writePage()
} else if (values.check) {
  const wanted = promisesPage(programs, await readRecords(recordsPath))
  const found = await readFile(pagePath, 'utf8').catch(() => '')
  if (wanted !== found) {
    console.error('docs/promises.md is not up to date; run: npm run promise -- --write')
    process.exitCode = 1
  }
} else if (id === undefined && !values.all) {
  for (const { promise } of programs) console.log(`${promise.id.padEnd(18)} ${promise.claim} (aim: ${promise.aim})`)
} else {
  const chosen = values.all ? programs : programs.filter(({ promise }) => promise.id === id)
  if (chosen.length === 0) {
    console.error(`there is no promise ${id}; npm run promise lists them`)
    process.exitCode = 2
  }
  for (const program of chosen) if (!(await check(program, values.record))) process.exitCode = 1
  // Programs start control planes and servers of their own; whatever one of them forgot must not keep the verdict waiting. And not by
  // the end of the event loop: there Node 24.9 can spin for ever over a socket that was reset (Environment::CleanupHandles).
  process.stdout.write('', () => process.exit())
}
