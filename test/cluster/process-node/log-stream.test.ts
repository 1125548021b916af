import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type LogOptions, readLog } from './log-stream.ts'

let path: string

beforeAll(async () => {
  path = join(await mkdtemp(join(tmpdir(), 'hansa-log-')), 'log')
})

afterAll(() => rm(join(path, '..'), { recursive: true }))

async function read(options: Partial<LogOptions> = {}): Promise<string> {
  const chunks: Buffer[] = []
  const never = new AbortController().signal
  for await (const chunk of readLog(path, { follow: () => false, signal: never, ...options })) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

test('the last lines are those that tail shows', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: fc.constantFrom('a', 'ü', ' ') })),
      fc.boolean(),
      fc.nat(12),
      async (lines, ended, tailLines) => {
        const text = lines.join('\n') + (ended && lines.length > 0 ? '\n' : '')
        await writeFile(path, text)
        const all = text.split(/(?<=\n)/).filter((line) => line !== '')
        expect(await read({ tailLines })).toBe(tailLines === 0 ? '' : all.slice(-tailLines).join(''))
      },
    ),
    { numRuns: 60 },
  )
})

test('lines longer than a block are found from the end', async () => {
  const long = 'x'.repeat(200_000)
  await writeFile(path, `1\n${long}\n3\n`)
  expect(await read({ tailLines: 2 })).toBe(`${long}\n3\n`)
})

test('no more is read than asked for', async () => {
  await writeFile(path, 'y'.repeat(100_000))
  expect(await read({ limitBytes: 70_000 })).toHaveLength(70_000)
})

test('following goes on until the container ends, and misses nothing of its end', async () => {
  await writeFile(path, 'one\n')
  let live = true
  const reading = read({ follow: () => live })
  await new Promise((resolve) => setTimeout(resolve, 150))
  await appendFile(path, 'two\n')
  live = false
  expect(await reading).toBe('one\ntwo\n')
})
