import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'

export type Row = Record<string, string | number | null>

/** All rows of the tables of a ledger that are of use to a checker, read without its code. */
export type Books = {
  claims: Row[]
  receipts: Row[]
  settlements: Row[]
  entries: Row[]
  checkpoints: Row[]
  cosignatures: Row[]
  witnessed: Row[]
}

const queries: Record<keyof Books, string> = {
  claims: 'SELECT * FROM claims ORDER BY side, request_id, epoch, number',
  receipts: 'SELECT side, request_id, epoch, id, leaf, body, claim FROM receipts ORDER BY side, id',
  settlements: 'SELECT * FROM settlements ORDER BY side, request_id, epoch, number, sequence',
  entries: 'SELECT * FROM entries ORDER BY position',
  checkpoints: 'SELECT * FROM checkpoints ORDER BY size',
  cosignatures: 'SELECT * FROM cosignatures ORDER BY size',
  witnessed: 'SELECT * FROM witnessed',
}

/** Reads a copy of the files that a ledger which is gone left behind. */
export async function readSqlite(folder: string, copyTo: string): Promise<Books> {
  await mkdir(copyTo, { recursive: true })
  const path = join(copyTo, 'ledger.db')
  await copyFile(join(folder, 'ledger.db'), path)
  await copyFile(join(folder, 'ledger.db-wal'), `${path}-wal`).catch(() => undefined)
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    return await each(async (text) => db.prepare(text).all() as Row[])
  } finally {
    db.close()
  }
}

export async function readPostgres(where: { host: string; port: number; database: string; user: string }) {
  const { host, port, database, user } = where
  const client = new pg.Client({
    ...{ host, port, database, user },
    types: { getTypeParser: (oid: number) => (oid === 20 ? Number : (value: string) => value) },
  })
  await client.connect()
  try {
    await client.query('SET search_path = hansa_ledger')
    return await each(async (text) => (await client.query<Row>(text)).rows)
  } finally {
    await client.end()
  }
}

async function each(read: (text: string) => Promise<Row[]>): Promise<Books> {
  const found: Partial<Books> = {}
  for (const [name, text] of Object.entries(queries)) found[name as keyof Books] = await read(text)
  return found as Books // every name has its query
}
