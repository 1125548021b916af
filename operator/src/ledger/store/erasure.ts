import { type Database, text, textOrNone } from './database.ts'
import { appendEvent } from './events.ts'
import { isGrant, keyOf } from './rows.ts'
import type { LedgerStore } from './store.ts'

/**
 * Retention and erasure. Claims, log and leaf hashes hold nothing of persons and are never changed, so that what was proven stays proven;
 * salts and names lie apart and go.
 */
export function erasureBooks(db: Database): Pick<LedgerStore, 'eraseSalts' | 'eraseCaller' | 'pruneReceipts' | 'salt'> {
  return {
    eraseSalts: async (before) => {
      const erased = await db.transaction(async (sql) => {
        return (await sql('DELETE FROM salts WHERE made < ? RETURNING id', before)).length
      })
      if (erased > 0) await db.scrub()
      return erased
    },
    eraseCaller: async (callerName, now) => {
      const erased = await db.transaction(async (sql) => {
        const rows = await sql('DELETE FROM salts WHERE caller_name = ? RETURNING id', callerName)
        const message = `salts of ${rows.length} receipts of one caller`
        if (rows.length > 0) await appendEvent(sql, { at: now, type: 'Erased', peer: '', message })
        return rows.length
      })
      if (erased > 0) await db.scrub()
      return erased
    },
    pruneReceipts: (before, limit) =>
      db.transaction(async (sql) => {
        const pruned = await sql(
          `UPDATE receipts SET body = NULL WHERE (side, peer, request_id, epoch, id) IN (
            SELECT r.side, r.peer, r.request_id, r.epoch, r.id FROM receipts r JOIN claims c ON c.side = r.side AND c.peer = r.peer
              AND c.request_id = r.request_id AND c.epoch = r.epoch AND c.number = r.claim
            WHERE r.body IS NOT NULL AND r.ended < ? AND c.state = 'Agreed' LIMIT ?)
            RETURNING side, peer, request_id, epoch, id`,
          before,
          limit,
        )
        for (const row of pruned) {
          await sql(
            `DELETE FROM observations WHERE ${isGrant} AND id = ?`,
            ...['side', 'peer', 'request_id', 'epoch', 'id'].map((column) => row[column] ?? null),
          )
        }
        return pruned.length
      }),
    salt: (key, id) =>
      db.transaction(async (sql) => {
        const [row] = await sql(`SELECT salt, caller_name FROM salts WHERE ${isGrant} AND id = ?`, ...keyOf(key), id)
        if (row === undefined) return undefined
        const callerName = textOrNone(row, 'caller_name')
        return { salt: text(row, 'salt'), ...(callerName !== undefined && { callerName }) }
      }),
  }
}
