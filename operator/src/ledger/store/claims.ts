import { parseDateTime } from '../../federation/date-time.ts'
import { HansaError } from '../../process/errors.ts'
import type { Claim, Settlement } from '../message-types.ts'
import { type Database, number, type Row, type Sql, text, type Value } from './database.ts'
import { appendEvent } from './events.ts'
import { appendEntry } from './log-books.ts'
import { claimOf, isGrant, keyOf, marks, payloadOf } from './rows.ts'
import type { GrantKey, LedgerStore, Signed } from './store.ts'

type Methods = 'saveClaim' | 'saveSettlement' | 'claim' | 'lastClaim' | 'claimedTotals' | 'claims' | 'settlements'

/** Claims and what was said to them. */
export function claimBooks(db: Database): Pick<LedgerStore, Methods> {
  return {
    saveClaim: (key, identity, claim, leaves, now) =>
      db.transaction(async (sql) => {
        const isNew = await putClaim(sql, key, identity, claim)
        const { number: claimNumber } = claim.message
        const marked = await giveReceipts(sql, key, claimNumber, leaves)
        if (isNew && key.side === 'Executor' && marked !== leaves.length) {
          throw conflict(
            key,
            `claim ${claimNumber} counts ${leaves.length - marked} receipts that are not there or claimed`,
          )
        }
        if (isNew) {
          await appendEntry(sql, identity, { kind: 'Claim', peer: key.peer, side: key.side, envelope: claim.envelope })
          await appendEvent(sql, {
            ...eventOf(key, now),
            type: key.side === 'Executor' ? 'ClaimMade' : 'ClaimHeard',
            number: claimNumber,
          })
        }
        return claimOf(await claimRow(sql, key, claimNumber))
      }),
    saveSettlement: (key, identity, settlement, now) =>
      db.transaction(async (sql) => {
        const isNew = await putSettlement(sql, key, settlement)
        const { number: claimNumber, state, disputes } = settlement.message
        if (isNew) {
          const { peer, side } = key
          await appendEntry(sql, identity, { kind: 'Settlement', peer, side, envelope: settlement.envelope })
          const reasons = [...new Set(disputes.map(({ reason }) => reason))].join(',')
          const reason = reasons === '' ? {} : { reason: reasons }
          await appendEvent(sql, { ...eventOf(key, now), type: state, number: claimNumber, ...reason })
        }
        return claimOf(await claimRow(sql, key, claimNumber))
      }),
    claim: (key, claimNumber) =>
      db.transaction(async (sql) => {
        const [row] = await sql(`SELECT * FROM claims WHERE ${isGrant} AND number = ?`, ...keyOf(key), claimNumber)
        return row === undefined ? undefined : claimOf(row)
      }),
    lastClaim: (key) =>
      db.transaction(async (sql) => {
        const row = await lastRow(sql, key)
        return row === undefined ? undefined : claimOf(row)
      }),
    claimedTotals: (key) =>
      db.transaction(async (sql) => {
        const [row] = await sql(
          `SELECT COUNT(*) AS claims, CAST(COALESCE(SUM(requests), 0) AS BIGINT) AS requests,
            CAST(COALESCE(SUM(reserved), 0) AS BIGINT) AS reserved FROM claims WHERE ${isGrant}`,
          ...keyOf(key),
        )
        return {
          claims: number(row, 'claims'),
          requests: number(row, 'requests'),
          reservedGPUSeconds: number(row, 'reserved'),
        }
      }),
    claims: (filter) =>
      db.transaction(async (sql) => {
        const { side, peer, state, identity, from, until, after, limit } = filter
        const conditions = ['1 = 1']
        const values: Value[] = []
        const where = (condition: string, ...more: readonly (Value | undefined)[]) => {
          const given = more.filter((value) => value !== undefined)
          if (given.length < more.length) return
          conditions.push(condition)
          values.push(...given)
        }
        where('side = ?', side)
        where('peer = ?', peer)
        where('state = ?', state)
        where('identity = ?', identity)
        where('until_at >= ?', from)
        where('until_at < ?', until)
        if (after !== undefined) {
          where('(side, peer, request_id, epoch, number) > (?, ?, ?, ?, ?)', ...keyOf(after), after.number)
        }
        const rows = await sql(
          `SELECT * FROM claims WHERE ${conditions.join(' AND ')} ORDER BY side, peer, request_id, epoch, number LIMIT ?`,
          ...values,
          limit,
        )
        return rows.map(claimOf)
      }),
    settlements: (key, claimNumber) =>
      db.transaction(async (sql) => {
        const rows = await sql(
          `SELECT envelope FROM settlements WHERE ${isGrant} AND number = ? ORDER BY sequence, payload_sha256`,
          ...keyOf(key),
          claimNumber,
        )
        return rows.map((row) => {
          const envelope = text(row, 'envelope')
          return { settlement: payloadOf<Settlement>(envelope), envelope }
        })
      }),
  }
}

/** False when that claim is kept already. */
export async function putClaim(sql: Sql, key: GrantKey, identity: string, signed: Signed<Claim>): Promise<boolean> {
  const { message: claim, envelope, payloadSha256 } = signed
  if (claim.requestId !== key.requestId || claim.epoch !== key.epoch)
    throw conflict(key, 'the claim is of another grant')
  const [known] = await sql(
    `SELECT payload_sha256 FROM claims WHERE ${isGrant} AND number = ?`,
    ...keyOf(key),
    claim.number,
  )
  if (known !== undefined) {
    if (text(known, 'payload_sha256') === payloadSha256) return false
    throw conflict(key, `there is another claim ${claim.number}`)
  }
  const last = await lastRow(sql, key)
  const next = last === undefined ? 1 : number(last, 'number') + 1
  if (claim.number !== next) throw conflict(key, `claim ${claim.number} comes where ${next} is due`)
  const previous = last === undefined ? undefined : text(last, 'payload_sha256')
  if (claim.previous !== previous) throw conflict(key, `claim ${claim.number} does not go on from the one before`)
  await sql(
    `INSERT INTO claims (side, peer, request_id, epoch, number, identity, payload_sha256, until_at, state, envelope, receipts, requests, reserved)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'Claimed', ?, ?, ?, ?)`,
    ...keyOf(key),
    ...[claim.number, identity, payloadSha256, parseDateTime(claim.until) ?? 0, envelope],
    ...[claim.count, claim.units.requests, claim.units.reservedGPUSeconds],
  )
  return true
}

/** False when that settlement is kept already. */
export async function putSettlement(sql: Sql, key: GrantKey, signed: Signed<Settlement>): Promise<boolean> {
  const { message: settlement, envelope, payloadSha256 } = signed
  const row = await claimRow(sql, key, settlement.number)
  if (text(row, 'payload_sha256') !== settlement.claimSha256) {
    throw conflict(key, `the settlement is of another claim ${settlement.number}`)
  }
  const known = await sql(
    `SELECT sequence FROM settlements WHERE ${isGrant} AND number = ? AND payload_sha256 = ?`,
    ...keyOf(key),
    ...[settlement.number, payloadSha256],
  )
  if (known.length > 0) return false
  if (text(row, 'state') === 'Agreed') throw conflict(key, `claim ${settlement.number} is agreed already`)
  await sql(
    'INSERT INTO settlements (side, peer, request_id, epoch, number, payload_sha256, sequence, envelope) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    ...keyOf(key),
    ...[settlement.number, payloadSha256, settlement.sequence, envelope],
  )
  await sql(
    `UPDATE claims SET state = ?, settlement = ? WHERE ${isGrant} AND number = ?`,
    ...[settlement.state, envelope, ...keyOf(key), settlement.number],
  )
  return true
}

const manyAtOnce = 500

/** Marks receipts as of that claim; how many were free. */
async function giveReceipts(sql: Sql, key: GrantKey, claim: number, leaves: readonly string[]): Promise<number> {
  let marked = 0
  for (let from = 0; from < leaves.length; from += manyAtOnce) {
    const some = leaves.slice(from, from + manyAtOnce)
    const rows = await sql(
      `UPDATE receipts SET claim = ? WHERE ${isGrant} AND claim IS NULL AND leaf IN (${marks(some)}) RETURNING id`,
      ...[claim, ...keyOf(key), ...some],
    )
    marked += rows.length
  }
  return marked
}

async function lastRow(sql: Sql, key: GrantKey): Promise<Row | undefined> {
  const [row] = await sql(`SELECT * FROM claims WHERE ${isGrant} ORDER BY number DESC LIMIT 1`, ...keyOf(key))
  return row
}

async function claimRow(sql: Sql, key: GrantKey, claimNumber: number): Promise<Row> {
  const [row] = await sql(`SELECT * FROM claims WHERE ${isGrant} AND number = ?`, ...keyOf(key), claimNumber)
  if (row === undefined) throw conflict(key, `there is no claim ${claimNumber}`)
  return row
}

const eventOf = ({ peer, requestId, epoch }: GrantKey, at: number) => ({ at, peer, requestId, epoch })

function conflict({ peer, requestId, epoch }: GrantKey, what: string): HansaError {
  return new HansaError('LedgerConflict', `grant ${requestId}/${epoch} with Peer ${peer}: ${what}`, { retry: 'never' })
}
