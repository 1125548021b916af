import { spawn } from 'node:child_process'
import { expect, test } from 'vitest'
import { repository } from '../../cluster/hansa/images.ts'

test('npm run demo -- --once checks itself and exits 0', { timeout: 900_000 }, async () => {
  const { code, output } = await new Promise<{ code: number | null; output: string }>((done, failed) => {
    const child = spawn('npm', ['run', 'demo', '--', '--once'], { cwd: repository, stdio: ['ignore', 'pipe', 'pipe'] })
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.on('error', failed)
    child.on('close', (exit) => done({ code: exit, output: Buffer.concat(chunks).toString() }))
  })
  expect(code, output).toBe(0)
  const [, held, all] = /(\d+) of (\d+) checks hold/.exec(output) ?? []
  expect(Number(all)).toBeGreaterThanOrEqual(25)
  expect(held).toBe(all)
})
