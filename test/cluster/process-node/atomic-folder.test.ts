import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { writeAtomically } from './atomic-folder.ts'

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'hansa-atomic-'))
  onTestFinished(() => rm(path, { recursive: true }))
  return path
}

const content = (files: Record<string, string>) =>
  new Map(Object.entries(files).map(([path, text]) => [path, { data: Buffer.from(text), mode: 0o640 }]))

test('files appear under their paths with their modes', async () => {
  const path = await folder()
  await writeAtomically(path, content({ a: '1', 'deep/b': '2' }))
  expect(await readFile(join(path, 'a'), 'utf8')).toBe('1')
  expect(await readFile(join(path, 'deep/b'), 'utf8')).toBe('2')
  expect((await stat(join(path, 'a'))).mode & 0o777).toBe(0o640)
})

test('a second write replaces, adds and removes, and leaves nothing of the first', async () => {
  const path = await folder()
  await writeAtomically(path, content({ kept: '1', dropped: '1' }))
  await writeAtomically(path, content({ kept: '2', added: '2' }))
  expect((await readdir(path)).filter((name) => !name.startsWith('..')).sort()).toEqual(['added', 'kept'])
  expect(await readFile(join(path, 'kept'), 'utf8')).toBe('2')
  expect((await readdir(path)).filter((name) => name.startsWith('..'))).toHaveLength(2)
})

test.each(['../x', '/x', 'a/../../x'])('the path %s is refused', async (name) => {
  await expect(writeAtomically(await folder(), content({ [name]: '' }))).rejects.toThrow('within its volume')
})

test('a reader sees all old or all new files, never a mixture', async () => {
  const path = await folder()
  await writeAtomically(path, content({ a: '0', b: '0' }))
  let writing = true
  const writer = (async () => {
    for (let n = 1; n <= 30; n++) await writeAtomically(path, content({ a: String(n), b: String(n) }))
    writing = false
  })()
  while (writing) {
    // A reader that wants both goes through one generation, as the atomic link is meant to be used.
    const read = (name: string) => readFile(join(path, '..data', name), 'utf8').catch(() => undefined)
    const [before, a, b, after] = [await read('a'), await read('a'), await read('b'), await read('a')]
    if (before !== undefined && before === after && b !== undefined) expect(b).toBe(a)
  }
  await writer
})
