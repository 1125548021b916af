import { claimBooks } from './claims.ts'
import type { Database } from './database.ts'
import { erasureBooks } from './erasure.ts'
import { eventBooks } from './events.ts'
import { grantBooks } from './grants.ts'
import { logBooks } from './log-books.ts'
import { receiptBooks } from './receipts.ts'
import { recordBooks } from './records.ts'
import { restoreBooks } from './restore.ts'
import type { LedgerStore } from './store.ts'
import { witnessBooks } from './witness-books.ts'

/** The books on an open database; see `openSqlite` and `openPostgres`. */
export function createLedgerStore(db: Database): LedgerStore {
  return {
    ...recordBooks(db),
    ...grantBooks(db),
    ...receiptBooks(db),
    ...claimBooks(db),
    ...logBooks(db),
    ...restoreBooks(db),
    ...witnessBooks(db),
    ...eventBooks(db),
    ...erasureBooks(db),
    lost: db.lost,
    close: () => db.close(),
  }
}
