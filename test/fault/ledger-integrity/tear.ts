import { randomBytes } from 'node:crypto'
import { appendFile, readdir, readFile, truncate } from 'node:fs/promises'
import { join } from 'node:path'

/** What a torn file may have lost: ids of receipts, by the kind of their record. */
export type Torn = { file: string; ids: { kind: string; id: string }[] }

/** Leaves half a record at the end of the newest spool file, as a crash within a write does: nothing was promised of it. */
export async function halfWriteSpool(folder: string): Promise<Torn | undefined> {
  const file = await newestSegment(folder)
  if (file === undefined) return undefined
  const head = Buffer.alloc(8)
  head.writeUInt32BE(900, 0)
  head.writeUInt32BE(123_456, 4)
  await appendFile(file, Buffer.concat([head, randomBytes(300)]))
  return { file, ids: [] }
}

/** Cuts the end of the newest spool file off, as a power failure may within the last second; says what was in it. */
export async function cutSpool(folder: string, mostBytes: number): Promise<Torn | undefined> {
  const file = await newestSegment(folder)
  if (file === undefined) return undefined
  const content = await readFile(file)
  const keep = Math.max(0, content.length - mostBytes)
  await truncate(file, keep)
  return { file, ids: recordsOf(content).flatMap(({ end, id, kind }) => (end > keep ? [{ kind, id }] : [])) }
}

async function newestSegment(folder: string): Promise<string | undefined> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.records')).sort()
  const newest = names.at(-1)
  return newest === undefined ? undefined : join(folder, newest)
}

/** Length and checksum, four bytes each, then the record; read without the gateway's code. */
function recordsOf(content: Buffer): { end: number; kind: string; id: string }[] {
  const found: { end: number; kind: string; id: string }[] = []
  for (let at = 0; at + 8 <= content.length; ) {
    const end = at + 8 + content.readUInt32BE(at)
    if (end > content.length) break
    const { kind, receipt, request, answer } = JSON.parse(content.subarray(at + 8, end).toString())
    found.push({ end, kind, id: (receipt ?? request ?? answer).id })
    at = end
  }
  return found
}

/**
 * Leaves half a frame behind the last commit of SQLite's write-ahead log, and nothing else behind it: what a crash within a transaction
 * leaves. What was committed stays, since it was synced.
 */
export async function tearWal(folder: string): Promise<boolean> {
  const file = join(folder, 'ledger.db-wal')
  const content = await readFile(file).catch(() => undefined)
  if (content === undefined || content.length < 32) return false
  const salts = content.subarray(16, 24)
  const frame = 24 + content.readUInt32BE(8)
  let committed = 32
  for (let at = 32; at + frame <= content.length; at += frame) {
    if (!content.subarray(at + 8, at + 16).equals(salts)) break
    if (content.readUInt32BE(at + 4) !== 0) committed = at + frame
  }
  await truncate(file, committed)
  const head = Buffer.alloc(24)
  head.writeUInt32BE(1, 0)
  head.writeUInt32BE(1, 4)
  salts.copy(head, 8)
  await appendFile(file, Buffer.concat([head, randomBytes(1000)]))
  return true
}
