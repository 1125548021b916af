import { canonicalJson } from '../../federation/canonical-json.ts'
import { type Database, number, type Sql, text } from './database.ts'
import { saved } from './rows.ts'
import type { LedgerEvent, LedgerStore, NewEvent } from './store.ts'

/** What auditors and SIEM systems read, numbered without gaps. */
export function eventBooks(db: Database): Pick<LedgerStore, 'saveEvent' | 'events'> {
  return {
    saveEvent: (event) => db.transaction((sql) => appendEvent(sql, event)),
    events: (after, limit) =>
      db.transaction(async (sql) => {
        const rows = await sql(
          'SELECT sequence, body FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?',
          after,
          limit,
        )
        return rows.map(
          (row): LedgerEvent => ({ ...saved<NewEvent>(text(row, 'body')), sequence: number(row, 'sequence') }),
        )
      }),
  }
}

export async function appendEvent(sql: Sql, event: NewEvent): Promise<void> {
  const [row] = await sql('SELECT COALESCE(MAX(sequence), 0) + 1 AS next FROM events')
  await sql('INSERT INTO events (sequence, body) VALUES (?, ?)', number(row, 'next'), canonicalJson(event))
}
