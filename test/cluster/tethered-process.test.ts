import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { isRunning } from './is-running.ts'
import { startTethered } from './tethered-process.ts'

test('a process has its own pid, output and exit code', async () => {
  const process = startTethered({ command: 'sh', args: ['-c', 'echo $$; exit 3'], stdout: 'pipe' })
  let output = ''
  process.child.stdout?.on('data', (chunk) => {
    output += chunk
  })
  expect(await process.exited).toEqual({ code: 3, signal: null })
  expect(process.exit).toEqual({ code: 3, signal: null })
  await once(process.child, 'close')
  expect(Number(output)).toBe(process.pid)
})

test('signals reach the process itself', async () => {
  const process = startTethered({ command: 'sleep', args: ['60'] })
  expect(process.signal('SIGTERM')).toBe(true)
  expect(await process.exited).toEqual({ code: null, signal: 'SIGTERM' })
  expect(process.signal('SIGTERM')).toBe(false)
})

test('killing the group reaches what the process started', async () => {
  const process = startTethered({ command: 'sh', args: ['-c', 'sleep 60 & echo $!; wait'], stdout: 'pipe' })
  const [line] = (await once(process.child.stdout ?? process.child, 'data')) as [Buffer]
  process.killGroup()
  await process.exited
  await sleep(50)
  expect(isRunning(Number(line))).toBe(false)
})

test('a process ends with its parent, even one that is stopped and ignores signals', async () => {
  const program = `
  import { startTethered } from ${JSON.stringify(join(import.meta.dirname, 'tethered-process.ts'))}
    const deaf = startTethered({ command: 'sh', args: ['-c', 'trap "" HUP INT TERM; while :; do sleep 1; done'] })
    setTimeout(() => { deaf.signal('SIGSTOP'); console.log(deaf.pid) }, 100)
    setInterval(() => undefined, 1000)`
  const parent = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface(parent.stdout), 'line')) as [string]
  expect(isRunning(Number(line))).toBe(true)
  parent.kill('SIGKILL')
  for (let tries = 0; tries < 50 && isRunning(Number(line)); tries++) await sleep(50)
  expect(isRunning(Number(line))).toBe(false)
})
