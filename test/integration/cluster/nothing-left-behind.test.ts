import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { startOwner } from '../../cluster/owner.ts'
import { eventually } from './eventually.ts'
import { isRunning } from './running.ts'

test('a stopped owner leaves neither process nor folder', async () => {
  const owner = await startOwner({ name: 'brief' })
  const pids = Object.values(owner.parts).map((part) => part.pid ?? 0)
  expect(pids.every(isRunning)).toBe(true)
  await owner.stop()
  expect(pids.filter(isRunning)).toEqual([])
  expect(existsSync(owner.dir)).toBe(false)
})

test.each(['SIGKILL', 'SIGTERM'] as const)(
  'a run that ends by %s leaves neither process nor folder',
  async (signal) => {
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
  },
)
