import { HansaError } from '../../process/errors.ts'
import { consistencyProof, inclusionProof, type NodeAt, nodesOfAppend, rootOf } from '../log/tree.ts'
import { leafHash } from '../receipt.ts'
import { type Database, number, type Sql, text } from './database.ts'
import { sideOf } from './rows.ts'
import type { LedgerStore, LogEntry } from './store.ts'

type Methods = 'head' | 'rootAt' | 'entries' | 'indexOf' | 'inclusionProof' | 'consistencyProof'

/** The logs: entries, and the hashes of all their complete subtrees, so that no root or proof reads entries. */
export function logBooks(db: Database): Pick<LedgerStore, Methods> {
  const within = async (sql: Sql, identity: string, size: number): Promise<NodeAt> => {
    const has = await sizeOf(sql, identity)
    if (!(size >= 0 && size <= has)) throw new RangeError(`the log of ${identity} has ${has} entries, not ${size}`)
    return nodesIn(sql, identity)
  }
  return {
    head: (identity) =>
      db.transaction(async (sql) => {
        const size = await sizeOf(sql, identity)
        return { size, root: await rootOf(size, nodesIn(sql, identity)) }
      }),
    rootAt: (identity, size) => db.transaction(async (sql) => rootOf(size, await within(sql, identity, size))),
    entries: (identity, from, limit) =>
      db.transaction(async (sql) => {
        const rows = await sql(
          'SELECT position, kind, peer, side, envelope FROM entries WHERE identity = ? AND position >= ? ORDER BY position LIMIT ?',
          identity,
          from,
          limit,
        )
        return rows.map(
          (row): LogEntry => ({
            index: number(row, 'position'),
            kind: text(row, 'kind') === 'Claim' ? 'Claim' : 'Settlement',
            peer: text(row, 'peer'),
            side: sideOf(row),
            envelope: text(row, 'envelope'),
          }),
        )
      }),
    indexOf: (identity, leaf) =>
      db.transaction(async (sql) => {
        const [row] = await sql(
          'SELECT position FROM nodes WHERE identity = ? AND level = 0 AND hash = ? ORDER BY position LIMIT 1',
          identity,
          leaf,
        )
        return row === undefined ? undefined : number(row, 'position')
      }),
    inclusionProof: (identity, index, size) =>
      db.transaction(async (sql) => inclusionProof(index, size, await within(sql, identity, size))),
    consistencyProof: (identity, from, to) =>
      db.transaction(async (sql) => consistencyProof(from, to, await within(sql, identity, to))),
  }
}

/** Appends one envelope, in the transaction that takes it into the books. */
export async function appendEntry(
  sql: Sql,
  identity: string,
  { kind, peer, side, envelope }: Omit<LogEntry, 'index'>,
): Promise<number> {
  const size = await sizeOf(sql, identity)
  const nodes = await nodesOfAppend(size, leafHash(Buffer.from(envelope)), nodesIn(sql, identity))
  await sql(
    'INSERT INTO entries (identity, position, kind, peer, side, envelope) VALUES (?, ?, ?, ?, ?, ?)',
    ...[identity, size, kind, peer, side, envelope],
  )
  for (const { level, index, hash } of nodes) {
    await sql('INSERT INTO nodes (identity, level, position, hash) VALUES (?, ?, ?, ?)', identity, level, index, hash)
  }
  await sql(
    'INSERT INTO logs (identity, size) VALUES (?, ?) ON CONFLICT (identity) DO UPDATE SET size = excluded.size',
    identity,
    size + 1,
  )
  return size
}

export async function sizeOf(sql: Sql, identity: string): Promise<number> {
  const [row] = await sql('SELECT size FROM logs WHERE identity = ?', identity)
  return row === undefined ? 0 : number(row, 'size')
}

function nodesIn(sql: Sql, identity: string): NodeAt {
  return async (level, index) => {
    const [row] = await sql(
      'SELECT hash FROM nodes WHERE identity = ? AND level = ? AND position = ?',
      identity,
      level,
      index,
    )
    if (row !== undefined) return text(row, 'hash')
    throw new HansaError('LedgerDamaged', `the log of ${identity} lacks the hash ${level}/${index}`, {
      retry: 'never',
      hint: 'Restore the newest backup.',
    })
  }
}
