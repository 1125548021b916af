import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isConsistent, isIncluded } from '../../../operator/src/ledger/log/verify.ts'
import { leafHash } from '../../../operator/src/ledger/receipt.ts'
import { createLedgerStore } from '../../../operator/src/ledger/store/create-store.ts'
import { openPostgres } from '../../../operator/src/ledger/store/postgres-database.ts'
import { openSqlite } from '../../../operator/src/ledger/store/sqlite-database.ts'
import type { GatewayRecord, Grant, LedgerStore } from '../../../operator/src/ledger/store/store.ts'
import { type TestOwner, testOwner } from '../../builders/federation.ts'
import {
  claimOver,
  executed,
  idOf,
  leafOf,
  receipt,
  requested,
  requestId,
  saltOf,
  settlementOf,
  signCheckpoint,
  signClaim,
  signCosignature,
  signSettlement,
  start,
} from '../../builders/ledger.ts'
import { type PostgresServer, startPostgres } from './postgres-server.ts'

let server: PostgresServer
let folder: string
let executor: TestOwner
let requester: TestOwner
let schema = 0

beforeAll(async () => {
  server = await startPostgres()
  folder = await mkdtemp(join(tmpdir(), 'hansa-ledger-'))
  executor = await testOwner('hospital', { now: start })
  requester = await testOwner('university', { now: start })
})

afterAll(async () => {
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** A place for one store, which can be opened, and opened again. */
type Place = { open(): Promise<LedgerStore> }

async function newPlace(kind: 'SQLite' | 'PostgreSQL'): Promise<Place> {
  const name = `place${++schema}`
  if (kind === 'SQLite') {
    return { open: async () => createLedgerStore(openSqlite(join(folder, `${name}.db`), { busySeconds: 0.1 })) }
  }
  await admin(`CREATE DATABASE ${name}`)
  return { open: async () => createLedgerStore(await openPostgres({ ...server.options, database: name })) }
}

async function admin(statement: string, database = 'postgres'): Promise<void> {
  const client = new pg.Client({ ...server.options, ssl: false, database })
  await client.connect()
  await client.query(statement)
  await client.end()
}

const clusterOf = ({ bundle: { trustDomain, clusterName } }: TestOwner) => ({ trustDomain, clusterName })
const fromExecutor = () => ({ issuer: clusterOf(executor), audience: clusterOf(requester) })
const fromRequester = () => ({ issuer: clusterOf(requester), audience: clusterOf(executor) })
const served = (number: number, changes = {}): GatewayRecord => ({
  kind: 'Served',
  at: start,
  peer: 'university',
  receipt: receipt(number, changes),
  salt: saltOf(number),
})
const sent = (number: number, callerName = 'system:serviceaccount:library:papers'): GatewayRecord => {
  const { id, epoch, model, caller, dataClass, purpose } = receipt(number)
  const request = { id, requestId, epoch, model, caller, dataClass, purpose, salt: saltOf(number), callerName }
  return { kind: 'Sent', at: start, peer: 'hospital', request: { ...request, namespace: 'library', service: 'papers' } }
}
const seen = (number: number): GatewayRecord => {
  const { id, epoch, request, response, requestBytes, responseBytes, status } = receipt(number)
  const answer = { id, requestId, epoch, request, response, requestBytes, responseBytes, status, whole: true }
  return { kind: 'Seen', at: start + 900, peer: 'hospital', answer: { ...answer, receipt: receipt(number) } }
}
const grant: Grant = {
  ...executed,
  identity: 'main',
  namespace: 'guest-university',
  service: 'papers',
  dataClass: 'Internal',
  purpose: 'Triage',
  reservedGPUSeconds: 60,
  preemptedGPUSeconds: 0,
}

/** `minutes` claims of two receipts each, agreed where `agree` says so. */
async function claimed(store: LedgerStore, minutes: number, agree: (number: number) => boolean = () => true) {
  let previous: string | undefined
  for (let number = 1; number <= minutes; number++) {
    const receipts = [receipt(number * 2), receipt(number * 2 + 1)]
    const position = await store.spoolPosition('gateway-0')
    await store.takeRecords('gateway-0', position, [served(number * 2), served(number * 2 + 1)], start)
    const claim = claimOver(receipts, fromExecutor(), { number, ...(previous !== undefined && { previous }) })
    const signedClaim = await signClaim(claim, executor.keys.Receipt)
    await store.saveClaim(executed, 'main', signedClaim, receipts.map(leafOf), start)
    previous = signedClaim.payloadSha256
    if (!agree(number)) continue
    const settlement = settlementOf(claim, signedClaim.payloadSha256, fromRequester())
    await store.saveSettlement(executed, 'main', await signSettlement(settlement, requester.keys.Receipt), start)
  }
}

for (const kind of ['SQLite', 'PostgreSQL'] as const) {
  const withStore = async (work: (store: LedgerStore, place: Place) => Promise<void>) => {
    const place = await newPlace(kind)
    const store = await place.open()
    try {
      await work(store, place)
    } finally {
      await store.close()
    }
  }

  test(`${kind}: each record of a spool is taken once, whatever is sent again, and none after a gap`, () =>
    withStore(async (store) => {
      expect(await store.takeRecords('gateway-0', 0, [served(0), served(1)], start)).toMatchObject({
        next: 2,
        taken: 2,
      })
      expect(await store.takeRecords('gateway-0', 1, [served(1), served(2)], start)).toMatchObject({
        next: 3,
        taken: 1,
      })
      expect(await store.takeRecords('gateway-0', 0, [served(0)], start)).toMatchObject({ next: 3, taken: 0 })
      expect(await store.takeRecords('gateway-0', 9, [served(9)], start)).toMatchObject({ next: 3, taken: 0 })
      expect(await store.takeRecords('gateway-1', 0, [served(3)], start)).toMatchObject({ next: 1, taken: 1 })
      const kept = await store.claimable(executed, 10)
      expect(kept.map(({ id }) => id).sort()).toEqual([0, 1, 2, 3].map(idOf).sort())
      expect(kept.map(({ leaf }) => leaf)).toEqual([0, 1, 2, 3].map((each) => leafOf(receipt(each))).sort())
      await store.skipSpool('gateway-0', 9)
      expect(await store.takeRecords('gateway-0', 9, [served(9)], start)).toMatchObject({ next: 10, taken: 1 })
    }))

  test(`${kind}: a second receipt of an id is a replay and does not count`, () =>
    withStore(async (store) => {
      const { peer, epoch } = executed
      const replay = served(0, { responseBytes: 7 })
      const { replayed } = await store.takeRecords('gateway-0', 0, [served(0), replay], start)
      expect(replayed).toEqual([{ peer, requestId, epoch }])
      expect(await store.claimable(executed, 10)).toEqual([
        { id: idOf(0), leaf: leafOf(receipt(0)), receipt: receipt(0), claim: undefined },
      ])
      expect(await store.events(0, 10)).toMatchObject([{ sequence: 1, type: 'ReceiptReplayed', peer }])
    }))

  test(`${kind}: what the requester sent, saw and got as a receipt comes back, and its caller's name is kept apart`, () =>
    withStore(async (store) => {
      await store.takeRecords('gateway-0', 0, [sent(0), seen(0), sent(1)], start)
      const [first, second] = await store.observations(requested, [idOf(0), idOf(1)])
      const both = [first, second].sort((a, b) => Number(a?.seen === undefined) - Number(b?.seen === undefined))
      expect(both[0]).toMatchObject({
        id: idOf(0),
        sent: { service: 'papers' },
        seen: { whole: true, at: start + 900 },
      })
      expect(both[1]).toMatchObject({ id: idOf(1), sent: { service: 'papers' } })
      expect(JSON.stringify(both)).not.toContain('serviceaccount')
      expect(await store.receiptsById(requested, [idOf(0), idOf(1)])).toHaveLength(1)
      expect(await store.salt(requested, idOf(0))).toEqual({
        salt: saltOf(0),
        callerName: 'system:serviceaccount:library:papers',
      })
    }))

  test(`${kind}: claims are a chain, each receipt is in one of them, and what is not agreed is counted`, () =>
    withStore(async (store) => {
      await store.saveGrant({ ...grant, reservedGPUSeconds: 200 })
      await claimed(store, 2, (number) => number === 1)
      await store.takeRecords('gateway-0', 4, [served(50)], start)
      expect(await store.notAgreed(executed)).toEqual({ receipts: 3, gpuSeconds: 140 })
      expect(await store.claimedTotals(executed)).toEqual({ claims: 2, requests: 4, reservedGPUSeconds: 120 })
      expect(await store.claims({ peer: 'university', limit: 10 })).toMatchObject([
        { number: 1, state: 'Agreed', settlement: { settlement: { state: 'Agreed' } } },
        { number: 2, state: 'Claimed' },
      ])
      const last = await store.lastClaim(executed)
      const next = { number: 3, previous: last?.payloadSha256 ?? '' }
      const refused = async (changes: Parameters<typeof claimOver>[2], leaves: string[]) => {
        const claim = await signClaim(claimOver([receipt(50)], fromExecutor(), changes), executor.keys.Receipt)
        await expect(store.saveClaim(executed, 'main', claim, leaves, start)).rejects.toMatchObject({
          reason: 'LedgerConflict',
        })
      }
      await refused({ ...next, number: 4 }, [leafOf(receipt(50))])
      await refused({ number: 3 }, [leafOf(receipt(50))])
      await refused({ number: 2 }, [leafOf(receipt(50))])
      await refused(next, [leafOf(receipt(2))])
      await refused(next, [leafOf(receipt(99))])
      expect((await store.head('main')).size).toBe(3)
      const good = await signClaim(claimOver([receipt(50)], fromExecutor(), next), executor.keys.Receipt)
      await store.saveClaim(executed, 'main', good, [leafOf(receipt(50))], start)
      await store.saveClaim(executed, 'main', good, [leafOf(receipt(50))], start)
      expect((await store.head('main')).size).toBe(4)
      expect(await store.claimable(executed, 10)).toEqual([])
      expect(await store.receiptsOfClaim(executed, 3, undefined, 10)).toMatchObject([{ id: idOf(50) }])
    }))

  test(`${kind}: a dispute may be accepted later, what is agreed stays so, and a settlement of another claim is refused`, () =>
    withStore(async (store) => {
      await claimed(store, 1, () => false)
      const kept = await store.lastClaim(executed)
      if (kept === undefined) throw new Error('no claim')
      const settle = async (changes: Parameters<typeof settlementOf>[3], of = kept.payloadSha256) => {
        const settlement = settlementOf(kept.claim, of, fromRequester(), changes)
        return store.saveSettlement(executed, 'main', await signSettlement(settlement, requester.keys.Receipt), start)
      }
      const disputes = [{ reason: 'ReceiptMissing', message: 'no such receipt' }]
      await expect(settle({ sequence: 1 }, 'a'.repeat(64))).rejects.toMatchObject({ reason: 'LedgerConflict' })
      expect(await settle({ sequence: 1, state: 'Disputed', disputes })).toMatchObject({ state: 'Disputed' })
      expect(await store.claims({ state: 'Disputed', limit: 5 })).toHaveLength(1)
      expect(await settle({ sequence: 2 })).toMatchObject({ state: 'Agreed' })
      expect(await settle({ sequence: 2 })).toMatchObject({ state: 'Agreed' })
      await expect(settle({ sequence: 3, state: 'Disputed' })).rejects.toMatchObject({ reason: 'LedgerConflict' })
      expect((await store.settlements(executed, 1)).map(({ settlement }) => settlement.state)).toEqual([
        'Disputed',
        'Agreed',
      ])
      expect((await store.events(0, 10)).map(({ type, reason }) => [type, reason])).toEqual([
        ['ClaimMade', undefined],
        ['Disputed', 'ReceiptMissing'],
        ['Agreed', undefined],
      ])
    }))

  test(`${kind}: the log proves inclusion and consistency at every size, also after it was opened again`, async () => {
    const place = await newPlace(kind)
    const first = await place.open()
    await claimed(first, 5)
    await first.close()
    const store = await place.open()
    try {
      const { size, root } = await store.head('main')
      expect(size).toBe(10)
      for (const { index, envelope } of await store.entries('main', 0, 100)) {
        const leaf = leafHash(Buffer.from(envelope))
        expect(await store.indexOf('main', leaf)).toBe(index)
        const proof = await store.inclusionProof('main', index, size)
        expect(isIncluded({ leaf, index, size, root, proof })).toBe(true)
        const proofFrom = await store.consistencyProof('main', index, size)
        const fromRoot = await store.rootAt('main', index)
        expect(isConsistent({ from: index, fromRoot, to: size, toRoot: root, proof: proofFrom })).toBe(true)
      }
      await expect(store.rootAt('main', 11)).rejects.toThrow(RangeError)
      expect(await store.head('other')).toMatchObject({ size: 0 })
    } finally {
      await store.close()
    }
  })

  test(`${kind}: an old backup takes back the entries that it lacks, and has the same root and claims then`, () =>
    withStore(async (newer) => {
      await claimed(newer, 3)
      await withStore(async (old) => {
        await claimed(old, 1)
        const missing = await newer.entries('main', 2, 100)
        await expect(old.restoreEntries('main', 1, missing, start)).rejects.toMatchObject({ reason: 'LedgerConflict' })
        await old.restoreEntries('main', 2, missing, start)
        expect(await old.head('main')).toEqual(await newer.head('main'))
        const filter = { limit: 10 }
        expect(await old.claims(filter)).toEqual(await newer.claims(filter))
      })
    }))

  test(`${kind}: erasing salts and pruning receipts leaves leaf hashes, claims and log as they were`, () =>
    withStore(async (store) => {
      await store.takeRecords('gateway-9', 0, [sent(0, 'alice'), sent(1, 'bob')], start)
      await claimed(store, 2, (number) => number === 1)
      const [head, claims] = [await store.head('main'), await store.claims({ limit: 10 })]
      expect(await store.eraseCaller('alice', start)).toBe(1)
      expect(await store.salt(requested, idOf(0))).toBeUndefined()
      expect(await store.salt(requested, idOf(1))).toMatchObject({ callerName: 'bob' })
      expect(await store.eraseSalts(start)).toBe(0)
      expect(await store.eraseSalts(start + 1)).toBe(5)
      expect(await store.salt(executed, idOf(2))).toBeUndefined()
      expect(await store.pruneReceipts(start + 3_600_000, 100)).toBe(2)
      expect(
        (await store.receiptsOfClaim(executed, 1, undefined, 10)).map(({ leaf, receipt: body }) => [leaf, body]),
      ).toEqual([receipt(2), receipt(3)].map((each) => [leafOf(each), undefined]).sort())
      expect(
        (await store.receiptsOfClaim(executed, 2, undefined, 10)).every((each) => each.receipt !== undefined),
      ).toBe(true)
      expect([await store.head('main'), await store.claims({ limit: 10 })]).toEqual([head, claims])
    }))

  test(`${kind}: checkpoints, cosignatures, bundles, grants and messages come back as they were kept`, () =>
    withStore(async (store) => {
      const root = leafHash(Buffer.from('root'))
      const { message: checkpoint, envelope } = await signCheckpoint(
        { issuer: clusterOf(executor), size: 4, root, at: start },
        executor.keys.Receipt,
      )
      await store.saveCheckpoint('main', { checkpoint, envelope })
      expect(await store.lastCheckpoint('main')).toEqual({ checkpoint, envelope })
      expect(await store.checkpoints('main', 4, 10)).toEqual([])
      const { issued, expires } = claimOver([], fromExecutor())
      const cosigned = await signCosignature(
        { version: 1, ...fromRequester(), sequence: 1, issued, expires, log: clusterOf(executor), size: 4, root },
        requester.keys.Receipt,
      )
      const cosignature = { witness: 'university', cosignature: cosigned.message, envelope: cosigned.envelope }
      await store.saveCosignature('main', cosignature)
      expect(await store.cosignatures('main', 4)).toEqual([cosignature])
      await store.saveWitnessed('hospital', { checkpoint, envelope })
      await store.saveWitnessed('hospital', { checkpoint: { ...checkpoint, size: 2 }, envelope: '{}' })
      expect(await store.witnessed('hospital')).toEqual({ checkpoint, envelope })
      const forked = { checkpoint: { ...checkpoint, root: leafHash(Buffer.from('other')) }, envelope }
      await expect(store.saveWitnessed('hospital', forked)).rejects.toMatchObject({ reason: 'LedgerConflict' })
      await store.saveBundle('td', 'main', 2, 'second')
      await store.saveBundle('td', 'main', 1, 'first')
      expect(await store.bundles('td', 'main')).toEqual(['first', 'second'])
      await store.saveGrant(grant)
      await store.saveGrant({ ...grant, reservedGPUSeconds: 10, costCentre: '4711' })
      expect(await store.grants({ side: 'Executor', limit: 5 })).toEqual([{ ...grant, costCentre: '4711' }])
      await store.saveGrant({ ...grant, namespace: 'hansa-system', service: '', endedAt: start })
      expect(await store.grant(grant)).toEqual({ ...grant, costCentre: '4711', endedAt: start })
      expect(await store.grants({ after: grant, limit: 5 })).toEqual([])
      const message = { peer: 'hospital', key: 'settle/1', kind: 'Settlement', envelope: 'a' }
      await store.putOutbox(message)
      await store.putOutbox({ ...message, envelope: 'b' })
      expect(await store.outbox('hospital', 5)).toEqual([{ ...message, envelope: 'b' }])
      await store.delivered('hospital', 'settle/1')
      expect(await store.outbox('hospital', 5)).toEqual([])
    }))

  test(`${kind}: methods that are called at once do not mix, and a failed one leaves nothing`, () =>
    withStore(async (store) => {
      const calls = Array.from({ length: 20 }, (_, number) =>
        store.takeRecords(`gateway-${number}`, 0, [served(number)], start),
      )
      const bad = signClaim(claimOver([], fromExecutor(), { number: 7 }), executor.keys.Receipt)
      const failing = bad.then((claim) => store.saveClaim(executed, 'main', claim, [], start))
      await expect(failing).rejects.toMatchObject({ reason: 'LedgerConflict' })
      expect((await Promise.all(calls)).map(({ taken }) => taken)).toEqual(calls.map(() => 1))
      expect(await store.claimable(executed, 100)).toHaveLength(20)
      expect(await store.head('main')).toMatchObject({ size: 0 })
    }))

  test(`${kind}: a second writer is refused while the first lives, and let in after it`, async () => {
    const place = await newPlace(kind)
    const store = await place.open()
    await expect(place.open()).rejects.toMatchObject({ reason: 'LedgerInUse' })
    await store.close()
    const second = await place.open()
    await expect(store.head('main')).rejects.toMatchObject({ reason: 'LedgerClosed' })
    await second.close()
  })
}

test('SQLite: a torn, overwritten or foreign file is refused with what to do', async () => {
  const path = join(folder, 'damaged.db')
  const store = createLedgerStore(openSqlite(path))
  await claimed(store, 20)
  await store.close()
  const good = await readFile(path)
  const size = good.length
  const refused = async (bytes: Buffer) => {
    await writeFile(path, bytes)
    expect(() => openSqlite(path)).toThrow(
      expect.objectContaining({ reason: 'LedgerDamaged', hint: expect.stringContaining('backup') }),
    )
  }
  await refused(good.subarray(0, size - 4096 * 3))
  await refused(good.subarray(0, 100))
  await refused(
    Buffer.from('this was never a ledger, but something of a hundred bytes or so that somebody put there by mistake'),
  )
  const overwritten = Buffer.from(good)
  overwritten.fill(0xa5, 4096 * 4, 4096 * 6)
  await refused(overwritten)
  await writeFile(path, good)
  openSqlite(path).close()
})

test('SQLite: what was erased is in no file any more', async () => {
  const path = join(folder, 'erased.db')
  const store = createLedgerStore(openSqlite(path))
  await store.takeRecords('gateway-0', 0, [sent(0, 'alice-of-radiology')], start)
  const holds = async () => {
    const files = await Promise.all([path, `${path}-wal`].map((each) => readFile(each).catch(() => Buffer.alloc(0))))
    return files.some((bytes) => bytes.includes('alice-of-radiology') || bytes.includes(saltOf(0)))
  }
  expect(await holds()).toBe(true)
  await store.eraseCaller('alice-of-radiology', start)
  expect(await holds()).toBe(false)
  await store.close()
  expect((await stat(path)).size).toBeGreaterThan(0)
})

test('PostgreSQL: a writer whose session was ended writes no more, and the next one finds all that was committed', async () => {
  const database = 'fenced'
  await admin(`CREATE DATABASE ${database}`)
  const store = createLedgerStore(await openPostgres({ ...server.options, database }))
  await store.takeRecords('gateway-0', 0, [served(0)], start)
  await admin(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}' AND application_name = 'hansa-ledger'`,
  )
  await expect(store.lost).rejects.toMatchObject({ reason: 'LedgerFenced' })
  await expect(store.takeRecords('gateway-0', 1, [served(1)], start)).rejects.toMatchObject({ reason: 'LedgerFenced' })
  const next = createLedgerStore(await openPostgres({ ...server.options, database }))
  expect(await next.spoolPosition('gateway-0')).toBe(1)
  await next.close()
})

test('PostgreSQL: a writer that lost its place behind a pooler is fenced by the number in the database', async () => {
  const database = 'pooled'
  await admin(`CREATE DATABASE ${database}`)
  const store = createLedgerStore(await openPostgres({ ...server.options, database }))
  await admin('UPDATE hansa_ledger.writer SET number = number + 1', database)
  await expect(store.takeRecords('gateway-0', 0, [served(0)], start)).rejects.toMatchObject({ reason: 'LedgerFenced' })
  await store.close()
  const next = createLedgerStore(await openPostgres({ ...server.options, database }))
  expect(await next.spoolPosition('gateway-0')).toBe(0)
  await next.close()
})

test('PostgreSQL: a killed server ends the writer, and has every committed record when it is back', async () => {
  const database = 'killed'
  await admin(`CREATE DATABASE ${database}`)
  const store = createLedgerStore(await openPostgres({ ...server.options, database }))
  await claimed(store, 2)
  const head = await store.head('main')
  await server.kill()
  await expect(store.lost).rejects.toMatchObject({ reason: 'LedgerFenced' })
  await expect(openPostgres({ ...server.options, database })).rejects.toMatchObject({ reason: 'LedgerUnreachable' })
  await server.start()
  const next = createLedgerStore(await openPostgres({ ...server.options, database }))
  expect(await next.head('main')).toEqual(head)
  await next.close()
})
