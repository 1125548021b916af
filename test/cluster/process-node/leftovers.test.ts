import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openPidFile } from './leftovers.ts'

async function sleeper() {
  const child = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' })
  await once(child, 'spawn')
  onTestFinished(() => void child.kill('SIGKILL'))
  return { child, pid: child.pid ?? 0 }
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'hansa-pids-'))
  onTestFinished(() => rm(path, { recursive: true }))
  return path
}

test('a process that the node before left is killed', async () => {
  const dir = await folder()
  const { child, pid } = await sleeper()
  await (await openPidFile(dir, () => undefined)).record(pid)
  const ended = once(child, 'exit')
  await openPidFile(dir, () => undefined)
  expect(await ended).toEqual([null, 'SIGKILL'])
})

test('a process that only has the same pid is left alone', async () => {
  const dir = await folder()
  const { child, pid } = await sleeper()
  await (await openPidFile(dir, () => undefined)).record(pid)
  const line = await readFile(join(dir, 'pids'), 'utf8')
  await writeFile(join(dir, 'pids'), line.replace(/ \d+/, ' 1'))
  await openPidFile(dir, () => undefined)
  expect(child.exitCode ?? child.signalCode).toBeNull()
})
