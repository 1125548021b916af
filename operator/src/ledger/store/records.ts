import { canonicalJson } from '../../federation/canonical-json.ts'
import { parseDateTime } from '../../federation/date-time.ts'
import { leafHash, type Receipt, receiptBytes } from '../receipt.ts'
import { type Database, number, type Sql, text } from './database.ts'
import { appendEvent } from './events.ts'
import { isGrant, keyOf } from './rows.ts'
import type { GatewayRecord, GrantKey, LedgerStore, Observation, Side } from './store.ts'

const mostRecords = 10_000

/** What gateways tell, each record once: their position moves in the transaction that takes them. */
export function recordBooks(db: Database): Pick<LedgerStore, 'takeRecords' | 'spoolPosition' | 'skipSpool'> {
  return {
    takeRecords: (gateway, first, records, now) =>
      db.transaction(async (sql) => {
        if (records.length > mostRecords) throw new RangeError(`more than ${mostRecords} records at once`)
        const position = await positionOf(sql, gateway)
        const fresh = first > position ? [] : records.slice(position - first)
        const replayed = []
        for (const record of fresh) {
          const grant = await take(sql, record, now)
          if (grant === undefined) continue
          const { peer, requestId, epoch } = grant
          replayed.push({ peer, requestId, epoch })
          await appendEvent(sql, { at: now, type: 'ReceiptReplayed', peer, requestId, epoch })
        }
        const next = position + fresh.length
        if (fresh.length > 0) await setPosition(sql, gateway, next)
        return { next, taken: fresh.length, replayed }
      }),
    spoolPosition: (gateway) => db.transaction((sql) => positionOf(sql, gateway)),
    skipSpool: (gateway, to) =>
      db.transaction(async (sql) => {
        if (to > (await positionOf(sql, gateway))) await setPosition(sql, gateway, to)
      }),
  }
}

async function positionOf(sql: Sql, gateway: string): Promise<number> {
  const [row] = await sql('SELECT next FROM spools WHERE gateway = ?', gateway)
  return row === undefined ? 0 : number(row, 'next')
}

async function setPosition(sql: Sql, gateway: string, next: number): Promise<void> {
  await sql(
    'INSERT INTO spools (gateway, next) VALUES (?, ?) ON CONFLICT (gateway) DO UPDATE SET next = excluded.next',
    gateway,
    next,
  )
}

/** The grant of a receipt that is a replay; undefined when all is well. */
async function take(sql: Sql, record: GatewayRecord, now: number): Promise<GrantKey | undefined> {
  const { peer } = record
  if (record.kind === 'Served') {
    const { receipt, salt } = record
    const key = keyOfReceipt('Executor', peer, receipt)
    const isKnown = await putReceipt(sql, key, receipt, now)
    if (isKnown === 'Taken') await putSalt(sql, key, { id: receipt.id, salt, callerName: null, now })
    return isKnown === 'Replayed' ? key : undefined
  }
  if (record.kind === 'Sent') {
    const { salt, callerName, ...request } = record.request
    const key = keyOfReceipt('Requester', peer, request)
    await observe(sql, key, { sent: { ...request, at: record.at } })
    await putSalt(sql, key, { id: request.id, salt, callerName, now })
    return undefined
  }
  const { answer } = record
  const key = keyOfReceipt('Requester', peer, answer)
  await observe(sql, key, { seen: { ...answer, at: record.at } })
  const { receipt } = answer
  const isOfIt = receipt?.id === answer.id && receipt.requestId === answer.requestId && receipt.epoch === answer.epoch
  if (receipt === undefined || !isOfIt) return undefined
  return (await putReceipt(sql, key, receipt, now)) === 'Replayed' ? key : undefined
}

const keyOfReceipt = (side: Side, peer: string, { requestId, epoch }: Pick<Receipt, 'requestId' | 'epoch'>) => ({
  side,
  peer,
  requestId,
  epoch,
})

/** Keeps a receipt; the first one of an id counts. */
export async function putReceipt(
  sql: Sql,
  key: GrantKey,
  receipt: Receipt,
  now: number,
): Promise<'Taken' | 'Known' | 'Replayed'> {
  const bytes = receiptBytes(receipt)
  const leaf = leafHash(bytes)
  const added = await sql(
    `INSERT INTO receipts (side, peer, request_id, epoch, id, leaf, body, ended) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT DO NOTHING RETURNING id`,
    ...keyOf(key),
    receipt.id,
    leaf,
    bytes.toString(),
    parseDateTime(receipt.ended) ?? now,
  )
  if (added.length > 0) return 'Taken'
  const [known] = await sql(`SELECT leaf FROM receipts WHERE ${isGrant} AND id = ?`, ...keyOf(key), receipt.id)
  return text(known, 'leaf') === leaf ? 'Known' : 'Replayed'
}

async function putSalt(
  sql: Sql,
  key: GrantKey,
  { id, salt, callerName, now }: { id: string; salt: string; callerName: string | null; now: number },
): Promise<void> {
  await sql(
    `INSERT INTO salts (side, peer, request_id, epoch, id, salt, caller_name, made) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT DO NOTHING`,
    ...keyOf(key),
    id,
    salt,
    callerName,
    now,
  )
}

type Observed = Pick<Required<Observation>, 'sent'> | Pick<Required<Observation>, 'seen'>

async function observe(sql: Sql, key: GrantKey, observed: Observed): Promise<void> {
  const [column, what] = 'sent' in observed ? (['sent', observed.sent] as const) : (['seen', observed.seen] as const)
  // What was seen first stays: a gateway says each once.
  await sql(
    `INSERT INTO observations (side, peer, request_id, epoch, id, ${column}, made) VALUES (?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (side, peer, request_id, epoch, id) DO UPDATE SET ${column} = COALESCE(observations.${column}, excluded.${column})`,
    ...keyOf(key),
    what.id,
    canonicalJson(what),
    what.at,
  )
}
