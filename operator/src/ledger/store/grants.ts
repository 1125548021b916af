import { canonicalJson } from '../../federation/canonical-json.ts'
import { type Database, number, type Sql, text, type Value } from './database.ts'
import { isGrant, keyOf, saved } from './rows.ts'
import type { Grant, GrantKey, LedgerStore } from './store.ts'

/** What grants are about, and how much of each is not agreed. */
export function grantBooks(db: Database): Pick<LedgerStore, 'saveGrant' | 'grant' | 'grants' | 'notAgreed'> {
  return {
    saveGrant: (grant) =>
      db.transaction(async (sql) => {
        const known = await grantIn(sql, grant)
        const reservedGPUSeconds = Math.max(grant.reservedGPUSeconds, known?.reservedGPUSeconds ?? 0)
        const preemptedGPUSeconds = Math.max(grant.preemptedGPUSeconds, known?.preemptedGPUSeconds ?? 0)
        await sql(
          `INSERT INTO grants (side, peer, request_id, epoch, body) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (side, peer, request_id, epoch) DO UPDATE SET body = excluded.body`,
          ...keyOf(grant),
          canonicalJson({ ...grant, ...whatFor(grant, known), reservedGPUSeconds, preemptedGPUSeconds }),
        )
      }),
    grant: (key) => db.transaction((sql) => grantIn(sql, key)),
    grants: ({ side, peer, after, limit }) =>
      db.transaction(async (sql) => {
        const conditions = ['1 = 1']
        const values: Value[] = []
        const where = (condition: string, ...more: Value[]) => {
          conditions.push(condition)
          values.push(...more)
        }
        if (side !== undefined) where('side = ?', side)
        if (peer !== undefined) where('peer = ?', peer)
        if (after !== undefined) where('(side, peer, request_id, epoch) > (?, ?, ?, ?)', ...keyOf(after))
        const rows = await sql(
          `SELECT body FROM grants WHERE ${conditions.join(' AND ')} ORDER BY side, peer, request_id, epoch LIMIT ?`,
          ...values,
          limit,
        )
        return rows.map((row) => saved<Grant>(text(row, 'body')))
      }),
    notAgreed: (key) =>
      db.transaction(async (sql) => {
        const [open] = await sql(
          `SELECT COUNT(*) AS count FROM receipts WHERE ${isGrant} AND claim IS NULL`,
          ...keyOf(key),
        )
        const [claims] = await sql(
          `SELECT CAST(COALESCE(SUM(CASE WHEN state = 'Agreed' THEN 0 ELSE receipts END), 0) AS BIGINT) AS receipts,
            CAST(COALESCE(SUM(CASE WHEN state = 'Agreed' THEN 0 ELSE reserved END), 0) AS BIGINT) AS claimed,
            CAST(COALESCE(SUM(reserved), 0) AS BIGINT) AS reserved FROM claims WHERE ${isGrant}`,
          ...keyOf(key),
        )
        const unclaimed = ((await grantIn(sql, key))?.reservedGPUSeconds ?? 0) - number(claims, 'reserved')
        return {
          receipts: number(open, 'count') + number(claims, 'receipts'),
          gpuSeconds: number(claims, 'claimed') + Math.max(0, unclaimed),
        }
      }),
  }
}

/** A tombstone lies in another namespace and does not know its service any more; what was known stays. */
function whatFor(grant: Grant, known: Grant | undefined): Partial<Grant> {
  if (known === undefined || grant.service !== '') return {}
  const { namespace, service, costCentre } = known
  return { namespace, service, ...(costCentre !== undefined && { costCentre }) }
}

async function grantIn(sql: Sql, key: GrantKey): Promise<Grant | undefined> {
  const [row] = await sql(`SELECT body FROM grants WHERE ${isGrant}`, ...keyOf(key))
  return row === undefined ? undefined : saved<Grant>(text(row, 'body'))
}
