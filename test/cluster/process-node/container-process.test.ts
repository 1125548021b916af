import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startProcess } from './container-process.ts'

let cwd: string

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'hansa-process-'))
})

afterAll(() => rm(cwd, { recursive: true }))

const env = { PATH: '/usr/bin:/bin', ONLY: 'this' }
const shell = (script: string, logPath?: string) =>
  startProcess({ command: ['sh', '-c', script], env, cwd, ...(logPath ? { logPath } : {}) })

test('the exit code is the command’s own, or 128 and the number of its signal', async () => {
  expect(await (await shell('exit 7')).exited).toBe(7)
  expect(await (await shell('kill -TERM $$')).exited).toBe(143)
  expect(await (await shell('kill -KILL $$')).exited).toBe(137)
})

test('both outputs go to the log, and nothing of our environment to the process', async () => {
  const log = join(cwd, 'log')
  await (await shell('echo out; echo err >&2; env', log)).exited
  const lines = (await readFile(log, 'utf8')).trim().split('\n')
  expect(lines.slice(0, 2)).toEqual(['out', 'err'])
  const names = lines.slice(2).map((line) => line.split('=')[0])
  expect(names.filter((name) => !['PWD', '_', 'SHLVL', 'OLDPWD'].includes(name ?? '')).sort()).toEqual(['ONLY', 'PATH'])
})

test('a process that ignores SIGTERM is killed after its grace period, one that obeys is not waited for', async () => {
  const stubborn = await shell('trap "" TERM; while :; do sleep 0.05; done')
  await new Promise((resolve) => setTimeout(resolve, 300))
  const began = Date.now()
  await stubborn.terminate(0.5)
  expect(await stubborn.exited).toBe(137)
  expect(Date.now() - began).toBeGreaterThanOrEqual(490)
  const polite = await shell('exec sleep 60')
  await polite.terminate(30)
  expect(await polite.exited).toBe(143)
})

test('a command that does not exist is an error at once', async () => {
  const missing = (name: string) => startProcess({ command: [name], env, cwd })
  await expect(missing('no-such-program')).rejects.toMatchObject({ reason: 'StartError' })
  await expect(missing('/etc/passwd')).rejects.toMatchObject({ reason: 'StartError' })
  await expect(missing('/tmp')).rejects.toMatchObject({ reason: 'StartError' })
})
