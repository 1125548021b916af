import { type Database, text, textOrNone } from './database.ts'
import { putReceipt } from './records.ts'
import { grantKeyOf, isGrant, keyOf, marks, receiptOf, saved } from './rows.ts'
import type { LedgerStore, Observation } from './store.ts'

type Methods =
  | 'claimable'
  | 'grantsWithClaimable'
  | 'saveReceipts'
  | 'receiptsById'
  | 'receiptsOfClaim'
  | 'observations'

/** Receipts of both sides, and what the requester's gateways saw. */
export function receiptBooks(db: Database): Pick<LedgerStore, Methods> {
  return {
    claimable: (key, limit) =>
      db.transaction(async (sql) => {
        const rows = await sql(
          `SELECT id, leaf, body, claim FROM receipts WHERE ${isGrant} AND claim IS NULL ORDER BY leaf LIMIT ?`,
          ...keyOf(key),
          limit,
        )
        return rows.map(receiptOf)
      }),
    grantsWithClaimable: (side) =>
      db.transaction(async (sql) => {
        const rows = await sql(
          'SELECT DISTINCT side, peer, request_id, epoch FROM receipts WHERE claim IS NULL AND side = ?',
          side,
        )
        return rows.map(grantKeyOf)
      }),
    saveReceipts: (key, receipts, now) =>
      db.transaction(async (sql) => {
        const replayed: string[] = []
        for (const receipt of receipts) {
          if (receipt.requestId !== key.requestId || receipt.epoch !== key.epoch) {
            throw new RangeError(`receipt ${receipt.id} is of another grant`)
          }
          if ((await putReceipt(sql, key, receipt, now)) === 'Replayed') replayed.push(receipt.id)
        }
        return { replayed }
      }),
    receiptsById: (key, ids) =>
      db.transaction(async (sql) => {
        if (ids.length === 0) return []
        const rows = await sql(
          `SELECT id, leaf, body, claim FROM receipts WHERE ${isGrant} AND id IN (${marks(ids)})`,
          ...keyOf(key),
          ...ids,
        )
        return rows.map(receiptOf)
      }),
    receiptsOfClaim: (key, number, after, limit) =>
      db.transaction(async (sql) => {
        const rows = await sql(
          `SELECT id, leaf, body, claim FROM receipts WHERE ${isGrant} AND claim = ? AND leaf > ? ORDER BY leaf LIMIT ?`,
          ...keyOf(key),
          number,
          after ?? '',
          limit,
        )
        return rows.map(receiptOf)
      }),
    observations: (key, ids) =>
      db.transaction(async (sql) => {
        if (ids.length === 0) return []
        const rows = await sql(
          `SELECT id, sent, seen FROM observations WHERE ${isGrant} AND id IN (${marks(ids)})`,
          ...keyOf(key),
          ...ids,
        )
        return rows.map((row): Observation => {
          const [sent, seen] = [textOrNone(row, 'sent'), textOrNone(row, 'seen')]
          return {
            id: text(row, 'id'),
            ...(sent !== undefined && { sent: saved<NonNullable<Observation['sent']>>(sent) }),
            ...(seen !== undefined && { seen: saved<NonNullable<Observation['seen']>>(seen) }),
          }
        })
      }),
  }
}
