import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LedgerSettings } from './settings.ts'
import { createLedgerStore } from './store/create-store.ts'
import type { LedgerStore } from './store/store.ts'

/** Opens the books that the settings name. The driver of the other database is not even loaded. */
export async function openBooks(books: LedgerSettings['books']): Promise<LedgerStore> {
  if (books.kind === 'SQLite') {
    const { openSqlite } = await import('./store/sqlite-database.ts')
    await mkdir(books.folder, { recursive: true, mode: 0o700 })
    return createLedgerStore(openSqlite(join(books.folder, 'ledger.db')))
  }
  const { openPostgres } = await import('./store/postgres-database.ts')
  const { passwordFile, caFile, hasTls, host, port, database, user } = books
  const password = passwordFile === undefined ? undefined : (await readFile(passwordFile, 'utf8')).replace(/\n$/, '')
  const caPem = caFile === undefined ? undefined : await readFile(caFile, 'utf8')
  return createLedgerStore(
    await openPostgres({ host, port, database, user, password, tls: hasTls ? { caPem } : false }),
  )
}
