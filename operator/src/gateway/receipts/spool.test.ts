import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createManualClock } from '../../kube/manual-clock.ts'
import { createLogger } from '../../process/log.ts'
import { openSpool } from './spool.ts'

const limits = { records: 1000, bytes: 1 << 20 }
const log = createLogger('gateway', 'silent')

async function folderFor(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hansa-spool-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const open = (folder: string, maxBytes = 1 << 30) => openSpool({ folder, maxBytes, log, clock: createManualClock(0) })

/** Everything that is there, by position. */
async function all(spool: Awaited<ReturnType<typeof open>>): Promise<[number, string][]> {
  const found: [number, string][] = []
  for (let from = 0; ; ) {
    const { first, records } = await spool.read(from, limits)
    if (records.length === 0) return found
    found.push(...records.map((record, i): [number, string] => [first + i, record.toString()]))
    from = first + records.length
  }
}

test('records come back in their order, with positions that grow, also after a restart', async () => {
  const folder = await folderFor()
  const before = await open(folder)
  await Promise.all(['a', 'b', 'c'].map((text) => before.append(Buffer.from(text))))
  await before.append(Buffer.from('d'))
  await before.close()
  const after = await open(folder)
  expect(after.id).toBe(before.id)
  await after.append(Buffer.from('e'))
  const found = await all(after)
  expect(found.map(([, text]) => text)).toEqual(['a', 'b', 'c', 'd', 'e'])
  expect(found.map(([position]) => position)).toEqual([0, 1, 2, 3, 2 ** 32])
  await after.close()
})

test('a file that was cut at any byte gives all records before the cut, and nothing else', async () => {
  const folder = await folderFor()
  const spool = await open(folder)
  const texts = ['first', 'the second', '3']
  for (const text of texts) await spool.append(Buffer.from(text))
  await spool.close()
  const name = (await readdir(folder)).find((each) => each.endsWith('.records')) ?? ''
  const whole = await readFile(join(folder, name))
  const ends = texts.map((_, i) => texts.slice(0, i + 1).reduce((sum, text) => sum + 8 + text.length, 0))
  for (let length = 0; length <= whole.length; length++) {
    await writeFile(join(folder, name), whole.subarray(0, length))
    const cut = await open(folder)
    const expected = texts.filter((_, i) => (ends[i] ?? 0) <= length)
    expect((await all(cut)).map(([, text]) => text)).toEqual(expected)
    await cut.append(Buffer.from('next'))
    expect((await all(cut)).map(([, text]) => text)).toEqual([...expected, 'next'])
    await cut.close()
    for (const each of await readdir(folder)) if (each !== name && each !== 'id') await rm(join(folder, each))
  }
})

test('a byte that was flipped anywhere takes its record and what follows, never another text', async () => {
  const folder = await folderFor()
  const spool = await open(folder)
  for (const text of ['one', 'two']) await spool.append(Buffer.from(text))
  await spool.close()
  const name = (await readdir(folder)).find((each) => each.endsWith('.records')) ?? ''
  const whole = await readFile(join(folder, name))
  for (let at = 0; at < whole.length; at++) {
    const changed = Buffer.from(whole)
    changed[at] = (changed[at] ?? 0) ^ 0x10
    await writeFile(join(folder, name), changed)
    const read = await open(folder)
    expect((await all(read)).map(([, text]) => text)).toEqual(at < 11 ? [] : ['one'])
    await read.close()
  }
})

test('what the ledger took is removed, and its positions are never used again', async () => {
  const folder = await folderFor()
  const spool = await open(folder)
  const large = Buffer.alloc(16_000, 'x')
  for (let i = 0; i < 600; i++) await spool.append(large)
  const before = spool.bytes
  await spool.release(spool.next)
  expect(spool.bytes).toBeLessThan(before / 2)
  expect(spool.released).toBeGreaterThan(0)
  await spool.close()
  const after = await open(folder)
  expect(after.next).toBe(2 ** 32)
  await after.close()
})

test('a full spool says so, and still takes what was under way', async () => {
  const spool = await open(await folderFor(), 100)
  expect(spool.isFull()).toBe(false)
  await spool.append(Buffer.alloc(100))
  expect(spool.isFull()).toBe(true)
  await spool.append(Buffer.from('late'))
  await spool.close()
  await expect(spool.append(Buffer.from('x'))).rejects.toMatchObject({ reason: 'SpoolClosed' })
})

test('foreign files in the folder are left alone', async () => {
  const folder = await folderFor()
  await appendFile(join(folder, 'notes.txt'), 'x')
  const spool = await open(folder)
  expect(await all(spool)).toEqual([])
  await spool.close()
})
