import { createHash } from 'node:crypto'
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { BlobStore } from './blob-store.ts'

const content = Buffer.from('weights')
const digest = createHash('sha256').update(content).digest('hex')
const signal = new AbortController().signal

async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'hansa-blobs-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

async function withBlob(dir: string) {
  const store = await BlobStore.open(dir, 10)
  await writeFile(await store.reserve('uid', digest, content.length), content)
  await store.adopt('uid', digest)
  return store
}

test('a finished file is there after a restart, and counts once', async () => {
  const dir = await folder()
  const before = await withBlob(dir)
  const after = await BlobStore.open(dir, 10)
  expect([before.usedBytes, after.usedBytes, after.has(digest)]).toEqual([7, 7, true])
})

test('room that is promised counts, and is given back', async () => {
  const store = await withBlob(await folder())
  const other = 'a'.repeat(64)
  await expect(store.reserve('uid', other, 4)).rejects.toMatchObject({ reason: 'StorageFull' })
  await store.reserve('uid', other, 3)
  await store.reserve('uid', other, 3)
  expect(store.usedBytes).toBe(10)
  await store.discardAll('uid')
  expect(store.usedBytes).toBe(7)
})

test('a blob that was changed, replaced or removed is not intact', async () => {
  const dir = await folder()
  const store = await withBlob(dir)
  const path = join(dir, 'sha256', digest)
  expect(await store.intact(digest, signal)).toBe(true)
  await chmod(path, 0o600)
  expect(await store.intact(digest, signal)).toBe(true)
  await writeFile(path, 'Weights')
  expect(await store.intact(digest, signal)).toBe(false)
  await rm(path)
  expect(await store.intact(digest, signal)).toBe(false)
})

test('collecting keeps what is named and removes the rest, unfinished files of forgotten models too', async () => {
  const dir = await folder()
  const store = await withBlob(dir)
  await writeFile(await store.reserve('gone', 'b'.repeat(64), 1), 'x')
  await store.collect(new Set([digest]), new Set(['uid']))
  expect([await readdir(join(dir, 'sha256')), await readdir(join(dir, 'parts'))]).toEqual([[digest], ['uid']])
  await store.collect(new Set(), new Set())
  expect([await readdir(join(dir, 'sha256')), store.usedBytes]).toEqual([[], 0])
})
