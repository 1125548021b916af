import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readStateFile, writeStateFile } from './state-file.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hansa-state-'))
})
afterEach(() => rm(folder, { recursive: true }))

test('a state file is read back, replaced as a whole, and readable by its owner only', async () => {
  const path = join(folder, 'deep', 'routes.json')
  await writeStateFile(path, 'one')
  await writeStateFile(path, 'two')
  expect(await readStateFile(path)).toBe('two')
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect((await stat(join(folder, 'deep'))).mode & 0o777).toBe(0o700)
  expect(await readdir(join(folder, 'deep'))).toEqual(['routes.json'])
})

test('readers beside many writers never see a torn file', async () => {
  const path = join(folder, 'state')
  const texts = ['a', 'b', 'c'].map((letter) => letter.repeat(200_000))
  await writeStateFile(path, 'a'.repeat(200_000))
  let writing = true
  const writers = Promise.all(
    texts.map(async (text) => {
      for (let n = 0; n < 10; n++) await writeStateFile(path, text)
    }),
  ).finally(() => {
    writing = false
  })
  let reads = 0
  while (writing) {
    expect(texts).toContain(await readStateFile(path))
    reads++
  }
  await writers
  expect(reads).toBeGreaterThan(3)
  expect(await readdir(folder)).toEqual(['state'])
})

test('a missing file is undefined, an unreadable or oversized one an error', async () => {
  expect(await readStateFile(join(folder, 'none'))).toBeUndefined()
  await expect(readStateFile(folder)).rejects.toThrow('EISDIR')
  await writeFile(join(folder, 'big'), 'x'.repeat(11))
  await expect(readStateFile(join(folder, 'big'), { maxBytes: 10 })).rejects.toThrow('more than 10')
})

test('nothing is left behind when a file cannot be replaced', async () => {
  await mkdir(join(folder, 'taken'))
  await expect(writeStateFile(join(folder, 'taken'), 'text')).rejects.toThrow()
  expect(await readdir(folder)).toEqual(['taken'])
})
