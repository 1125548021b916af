import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { condition, read } from '../../cluster/hansa/conditions.ts'
import { repository } from '../../cluster/hansa/images.ts'
import { type Installation, startInstallation } from '../../cluster/hansa/installation.ts'
import { writeEnvironment } from '../../demo/environment.ts'
import { eventually } from '../../demo/wait.ts'

const run = promisify(execFile)
let installation: Installation
let folder: string

/** The shell block below a heading of the README. */
async function block(heading: string): Promise<string> {
  const readme = await readFile(join(repository, 'README.md'), 'utf8')
  const section = readme.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  const [, code = ''] = /```sh\n([\s\S]*?)```/.exec(section) ?? []
  expect(code, `README has no shell block below "${heading}"`).not.toBe('')
  return code
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hansa-readme-'))
  installation = await startInstallation({ name: 'readme' })
  const { owner } = installation
  await owner.kubectl(['apply', '-f', join(repository, 'examples/digits.yaml')])
  await eventually('digits is Ready', async () =>
    condition(await read(owner, 'inferenceservice', 'digits', 'digits'), 'Ready')?.status === 'True' ? true : undefined,
  )
})

afterAll(async () => {
  await installation?.stop()
  await rm(folder, { recursive: true, force: true })
})

test('the first five minutes work as they are written', async () => {
  const env = await writeEnvironment(installation, folder)
  const commands = (await block('First five minutes')).replace('~/.cache/hansa/demo/env', env)
  expect(commands).toContain(env)
  const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', commands], { cwd: repository, timeout: 200_000 })
  expect(stdout).toContain('"name":"digits"')
  expect(stdout).toMatch(/"digit"/)
  expect(stdout).toContain('condition met')
  expect(stdout).toMatch(/hostile.*ExternalDataRefused/)
})

test('the two commands are scripts of the package', async () => {
  const commands = await block('Two commands')
  const { scripts } = JSON.parse(await readFile(join(repository, 'package.json'), 'utf8'))
  expect(commands).toContain('npm run demo')
  expect(scripts).toMatchObject({
    demo: expect.stringContaining('test/demo/main.ts'),
    test: expect.stringContaining('vitest'),
  })
})
