import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { withLock } from './lock.ts'

let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hansa-lock-'))
  path = join(folder, 'build.lock')
})

afterEach(() => rm(folder, { recursive: true }))

const quick = { pollMilliseconds: 5 }

test('only one works at a time, and all get their turn', async () => {
  let inside = 0
  let most = 0
  const work = async () => {
    most = Math.max(most, ++inside)
    await sleep(5)
    inside--
  }
  await Promise.all(Array.from({ length: 8 }, () => withLock(path, work, quick)))
  expect(most).toBe(1)
  expect(await readdir(folder)).toEqual([])
})

test('whoever waits is told so once', async () => {
  const waits: string[] = []
  const holder = withLock(path, () => sleep(50), quick)
  await sleep(10)
  await withLock(path, () => Promise.resolve(), { ...quick, onWait: (who) => waits.push(who) })
  await holder
  expect(waits).toHaveLength(1)
  expect(waits[0]).toContain(`"pid":${process.pid}`)
})

test('a failure releases the lock', async () => {
  await expect(withLock(path, () => Promise.reject(new Error('no disk')), quick)).rejects.toThrow('no disk')
  expect(await withLock(path, () => Promise.resolve('second'), quick)).toBe('second')
})

test('the lock of a dead process is taken over at once', async () => {
  const pid = 2 ** 22 + 1 // above the largest pid that Linux gives
  await writeFile(path, JSON.stringify({ pid, host: hostname(), id: 'dead' }))
  expect(await withLock(path, () => Promise.resolve('mine'), quick)).toBe('mine')
})

test('the lock of another host is taken over when nobody has touched it for long', async () => {
  await writeFile(path, JSON.stringify({ pid: 1, host: 'elsewhere', id: 'unknown' }))
  let done = false
  const waiting = withLock(path, () => Promise.resolve(), { ...quick, staleMilliseconds: 60_000 }).then(() => {
    done = true
  })
  await sleep(50)
  expect(done).toBe(false)
  const longAgo = new Date(Date.now() - 61_000)
  await utimes(path, longAgo, longAgo)
  await waiting
})

test('waiting ends with the signal', async () => {
  const holder = withLock(path, () => sleep(100), quick)
  await sleep(10)
  const given = withLock(path, () => Promise.resolve(), { ...quick, signal: AbortSignal.timeout(20) })
  await expect(given).rejects.toThrow(/timeout/i)
  await holder
})
