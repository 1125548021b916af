import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { HansaError, messageOf } from '../../process/errors.ts'
import { type Database, type Row, type Sql, Turns } from './database.ts'
import { migrations } from './migrations.ts'

const restoreHint =
  'Do not delete it: keep a copy, restore the newest backup, and start again. Until it holds what witnesses have seen it says so and does not go on; see docs/receipts.md.'

/** Primary codes of SQLite after which the file is not to be written any more: I/O error, corrupt, cannot open, no database. */
const fatal = new Set([10, 11, 14, 26])

/**
 * Opens the ledger's file, made where there is none, and checks all of it. One process at a time: SQLite's own lock is held until the end.
 * Each commit is synced to the disk before it counts.
 */
export function openSqlite(path: string, options: { busySeconds?: number } = {}): Database {
  const db = opened(path, options.busySeconds ?? 5)
  const statements = new Map<string, StatementSync>()
  const turns = new Turns()
  const { promise: lost, reject } = Promise.withResolvers<never>()
  lost.catch(() => undefined) // whoever waits for it hears of it
  let isLost: HansaError | undefined

  const sql: Sql = async (text, ...values) => {
    const statement = statements.get(text) ?? db.prepare(text)
    statements.set(text, statement)
    // Columns are INTEGER and TEXT only (STRICT tables), so these are the types that come.
    return statement.all(...values) as Row[]
  }
  const fail = (error: unknown): never => {
    if (!fatal.has(primaryCode(error))) throw error
    isLost ??= damaged(path, error)
    reject(isLost)
    throw isLost
  }
  return {
    transaction: (work) =>
      turns.take(async () => {
        if (isLost !== undefined) throw isLost
        try {
          db.exec('BEGIN IMMEDIATE')
          const result = await work(sql)
          db.exec('COMMIT')
          return result
        } catch (error) {
          if (db.isOpen && db.isTransaction) db.exec('ROLLBACK')
          return fail(error)
        }
      }),
    scrub: () => turns.take(async () => void db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').all()),
    lost,
    close: () =>
      turns.take(async () => {
        isLost ??= new HansaError('LedgerClosed', 'the ledger is closed', { retry: 'never' })
        if (db.isOpen) db.close()
      }),
  }
}

function opened(path: string, busySeconds: number): DatabaseSync {
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(path, { timeout: busySeconds * 1000, enableDoubleQuotedStringLiterals: false })
    // Exclusive before the first access: no other process gets in, and no shared memory file is needed.
    db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    // What is erased is overwritten, not only unlinked.
    db.exec('PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON')
    db.exec('BEGIN EXCLUSIVE; COMMIT')
    const problems = db
      .prepare('PRAGMA integrity_check(3)')
      .all()
      .map((row) => String(Object.values(row)[0]))
    if (problems.join() !== 'ok') throw new Error(problems.join('; '))
    migrate(db, path)
    return db
  } catch (error) {
    db?.close()
    if (error instanceof HansaError) throw error
    if (primaryCode(error) === 5) {
      throw new HansaError('LedgerInUse', `another process has the ledger ${path} open`, {
        hint: 'Only one may write. Wait for it to end, or see who it is: the StatefulSet must have one replica.',
        cause: error,
      })
    }
    throw damaged(path, error)
  }
}

function migrate(db: DatabaseSync, path: string): void {
  const version = Number(db.prepare('PRAGMA user_version').get()?.user_version)
  if (version > migrations.length) {
    throw new HansaError('LedgerTooNew', `the ledger ${path} was written by a newer version of Hansa (${version})`, {
      retry: 'never',
      hint: 'Run that version again; there is no way back.',
    })
  }
  for (const [index, statements] of migrations.entries()) {
    if (index < version) continue
    db.exec('BEGIN IMMEDIATE')
    for (const statement of statements)
      db.exec(statement.startsWith('CREATE TABLE') ? `${statement} STRICT` : statement)
    db.exec(`PRAGMA user_version = ${index + 1}; COMMIT`)
  }
}

function primaryCode(error: unknown): number {
  // node:sqlite puts SQLite's extended result code on its errors; the low byte is the primary one.
  const code = error instanceof Error && 'errcode' in error ? error.errcode : undefined
  return typeof code === 'number' ? code % 256 : 0
}

function damaged(path: string, cause: unknown): HansaError {
  return new HansaError('LedgerDamaged', `the ledger ${path} cannot be used: ${messageOf(cause)}`, {
    retry: 'never',
    hint: restoreHint,
    cause,
  })
}
