import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { isRunning } from '../../cluster/is-running.ts'
import { startOwner } from '../../cluster/owner.ts'
import { eventually } from './eventually.ts'

test('a stopped owner leaves neither process nor folder', async () => {
  const owner = await startOwner({ name: 'brief' })
  const pids = Object.values(owner.parts).map((part) => part.pid ?? 0)
  expect(pids.every(isRunning)).toBe(true)
  await owner.stop()
  expect(pids.filter(isRunning)).toEqual([])
  expect(existsSync(owner.dir)).toBe(false)
})

test.each([
  'SIGKILL',
  'SIGTERM',
] as const)('a run that ends by %s leaves neither process nor folder', async (signal) => {
  const program = spawn(process.execPath, [join(import.meta.dirname, 'start-and-wait.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface(program.stdout), 'line')) as [string]
  const { dir, pids } = JSON.parse(line) as { dir: string; pids: number[] }
  expect(pids.every(isRunning)).toBe(true)
  program.kill(signal)
  await eventually(() => {
    expect(pids.filter(isRunning)).toEqual([])
    expect(existsSync(dir)).toBe(false)
  })
})

test('the command line prints a kubeconfig that works, and Ctrl-C ends it all', async () => {
  const cli = join(import.meta.dirname, '../../cluster/cli.ts')
  const program = spawn(process.execPath, [cli, 'up', '--name', 'byhand'], { stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  program.stderr.on('data', (chunk) => {
    log += chunk
  })
  const [line] = (await once(createInterface(program.stdout), 'line')) as [string]
  const kubeconfig = line.replace('export KUBECONFIG=', '')
  expect(existsSync(kubeconfig)).toBe(true)
  program.kill('SIGINT')
  expect(await once(program, 'exit')).toEqual([0, null])
  expect(log).toMatch(/byhand: ready after \d+\.\d s/)
  expect(existsSync(kubeconfig)).toBe(false)
})

test('Ctrl-C during the start leaves nothing either', async () => {
  const cli = join(import.meta.dirname, '../../cluster/cli.ts')
  const program = spawn(process.execPath, [cli, 'up', '--name', 'hasty'], { stdio: ['ignore', 'ignore', 'pipe'] })
  const before = (await readdir(tmpdir())).filter((name) => name.startsWith('hansa-hasty-'))
  await once(program.stderr, 'data')
  program.kill('SIGINT')
  expect(await once(program, 'exit')).toEqual([130, null])
  await eventually(async () => {
    expect((await readdir(tmpdir())).filter((name) => name.startsWith('hansa-hasty-'))).toEqual(before)
  })
})
