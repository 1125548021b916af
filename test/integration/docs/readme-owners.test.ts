import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { condition, read } from '../../cluster/hansa/conditions.ts'
import { type Federation, startFederation } from '../../cluster/hansa/federation.ts'
import { repository } from '../../cluster/hansa/images.ts'
import { writeEnvironment } from '../../demo/environment.ts'
import { eventually } from '../../demo/wait.ts'

const run = promisify(execFile)
const patience = 300_000
const names = ['st-mary', 'university'] as const
let federation: Federation | undefined
let folder = ''

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hansa-readme-owners-'))
  federation = await startFederation({ owners: names.map((name) => ({ name })) })
  const stMary = federation.owner('st-mary')
  await stMary.owner.kubectl(['apply', '-f', join(repository, 'examples/digits.yaml')])
  await eventually('the Model is Verified', async () =>
    condition(await read(stMary.owner, 'model', 'digits-v1', 'digits'), 'Verified')?.status === 'True'
      ? true
      : undefined,
  )
}, patience)

afterAll(async () => {
  await federation?.stop()
  await rm(folder, { recursive: true, force: true })
}, patience)

test('what owners ask of one another works as the README writes it', { timeout: patience }, async () => {
  const readme = await readFile(join(repository, 'README.md'), 'utf8')
  const section = readme.split('## Owners\n')[1]?.split('\n## ')[0] ?? ''
  let [, commands = ''] = /```sh\n([\s\S]*?)```/.exec(section) ?? []
  for (const name of names) {
    const owner = federation?.owner(name)
    if (owner === undefined) throw new Error(`${name} did not start`)
    const env = await writeEnvironment(owner, join(folder, name))
    expect(commands).toContain(`~/.cache/hansa/demo/${name}/env`)
    commands = commands.replaceAll(`~/.cache/hansa/demo/${name}/env`, env)
  }
  const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', commands], { cwd: repository, timeout: patience })
  expect(stdout).toMatch(/inferenceservice.hansa.dev\/digits-shared condition met/)
  expect(stdout).toMatch(/^NAME +PEER +DECISION/m)
  expect(stdout).toMatch(/ st-mary +(Refused|Granted) /)
  const granted = await eventually('the university grants', async () => {
    const service = await federation
      ?.owner('st-mary')
      .get('/apis/hansa.dev/v1alpha1/namespaces/digits/inferenceservices/digits-shared')
    return JSON.stringify(service).includes('"answer":"Granted"') ? true : undefined
  })
  expect(granted).toBe(true)
})
