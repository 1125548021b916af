import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { testOwner } from '../../../../test/builders/federation.ts'
import {
  claimOver,
  executed,
  receipt,
  requestId,
  settlementOf,
  signCheckpoint,
  signClaim,
  signSettlement,
  start,
} from '../../../../test/builders/ledger.ts'
import {
  checkpointOf,
  clusterOf,
  exported,
  ledgerOf,
  type Owners,
  sealed,
  verified,
} from '../../../../test/builders/ledger-export.ts'
import { canonicalJson } from '../../federation/canonical-json.ts'
import type { ExportLine } from '../export/export-line.ts'

let owners: Owners
let good: string[]
/** Without the end. */
let body: string[]

beforeAll(async () => {
  const [executor, requester, witness] = await Promise.all(
    ['hospital', 'university', 'witness'].map((name) => testOwner(name, { now: start - 3_600_000 })),
  )
  if (executor === undefined || requester === undefined || witness === undefined) throw new Error('no owners')
  // Their role keys live for longer than the test's days, as after renewals; the executor's root key was rotated once.
  for (const owner of [executor, requester, witness]) {
    const roleKeys = owner.bundle.roleKeys.map((key) => ({ ...key, notAfter: '2026-12-24T00:00:00Z' }))
    await owner.publish({ roleKeys })
  }
  await executor.rotateRoot()
  owners = { executor, requester, witness }
  good = await exported(await ledgerOf(owners), owners)
  body = good.slice(0, -1)
})

const parsed = (line: string): ExportLine => JSON.parse(line)
const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const typeOf = (line: string) => parsed(line).type
const line = (value: object) => `${canonicalJson(value)}\n`
const problems = async (...files: string[][]) => (await verified(...files)).findings.map(({ problem }) => problem)
/** Lines with one changed, and an end that fits. */
const changed = (type: ExportLine['type'], change: (text: string) => string | string[], nth = 0) => {
  const index = body.flatMap((each, at) => (typeOf(each) === type ? [at] : []))[nth] ?? -1
  return sealed(body.flatMap((each, at) => (at === index ? change(each) : each)))
}

test('an export of honest owners verifies, and says what was counted and on whose keys it rests', async () => {
  const report = await verified(good)
  expect(report.findings).toEqual([])
  expect(report.trustDomains).toEqual([owners.executor, owners.requester].map(({ bundle }) => bundle.trustDomain))
  expect(report.checkpoints).toMatchObject([{ size: 7, cosignedBy: [`${owners.witness.bundle.trustDomain}/main`] }])
  expect(report.sums).toMatchObject([
    { currency: 'EUR', claims: 3, agreed: 3, disputed: 0, requests: 12, reservedGPUSeconds: 180, micros: 3 * 6666 },
  ])
  expect(report.notes).toEqual([])
  expect(body.map(typeOf).join(' ')).toMatch(
    /^head( bundle)+( checkpoint cosignature)+( claim( receipt){4}( settlement)+){3}$/,
  )
})

test('one byte changed anywhere makes it fail', async () => {
  const bytes = Buffer.from(good.join(''))
  await fc.assert(
    fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
      const copy = Buffer.from(bytes)
      copy[at] = (copy[at] ?? 0) ^ flip
      expect((await verified(copy)).findings).not.toEqual([])
    }),
    { numRuns: 150 },
  )
})

test('one byte changed anywhere behind the head makes it fail also for who writes a fitting end', async () => {
  const head = body[0]?.length ?? 0
  const bytes = Buffer.from(body.join(''))
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: head, max: bytes.length - 1 }),
      fc.integer({ min: 1, max: 255 }),
      async (at, flip) => {
        const copy = Buffer.from(bytes)
        copy[at] = (copy[at] ?? 0) ^ flip
        const end = { type: 'end', lines: copy.filter((byte) => byte === 10).length, sha256: hashOf(copy) }
        const forged = Buffer.concat([copy, Buffer.from(line(end))])
        expect((await verified(forged)).findings.length).toBeGreaterThan(0)
      },
    ),
    { numRuns: 150 },
  )
})

test('a truncated file fails wherever it ends', async () => {
  const bytes = Buffer.from(good.join(''))
  await fc.assert(
    fc.asyncProperty(fc.nat(bytes.length - 1), async (length) => {
      expect((await verified(bytes.subarray(0, length))).findings.length).toBeGreaterThan(length === 0 ? -1 : 0)
    }),
    { numRuns: 100 },
  )
  expect(await problems(body)).toContainEqual(expect.stringContaining('truncated'))
  expect((await verified(new Uint8Array())).findings).toMatchObject([{ problem: expect.stringContaining('truncated') }])
})

test('claims that are left out, repeated or put in another order break the chain', async () => {
  const starts = body.flatMap((each, at) => (typeOf(each) === 'claim' ? [at] : []))
  const [first = 0, second = 0, third = 0] = starts
  const parts = [body.slice(first, second), body.slice(second, third), body.slice(third)]
  const put = (order: number[]) => sealed([...body.slice(0, first), ...order.flatMap((each) => parts[each] ?? [])])
  expect(await problems(put([0, 1, 2]))).toEqual([])
  expect(await problems(put([0, 2]))).toContainEqual(
    expect.stringMatching(/claim 3 .*some are missing, repeated or reordered/),
  )
  expect(await problems(put([0, 1, 1, 2]))).toContainEqual(expect.stringContaining('missing, repeated or reordered'))
  expect(await problems(put([1, 0, 2]))).toContainEqual(expect.stringContaining('missing, repeated or reordered'))
})

test('what is left out at the ends of a chain is said, since it may lie in other months', async () => {
  const [, second = 0, third = 0] = body.flatMap((each, at) => (typeOf(each) === 'claim' ? [at] : []))
  const withoutLast = await verified(sealed(body.slice(0, third)))
  expect(withoutLast).toMatchObject({ findings: [], notes: [expect.stringContaining('is not its last')] })
  const head = body.slice(
    0,
    body.findIndex((each) => typeOf(each) === 'claim'),
  )
  const withoutFirst = await verified(sealed([...head, ...body.slice(second)]))
  expect(withoutFirst).toMatchObject({ findings: [], notes: [expect.stringContaining('begin with number 2')] })
})

test('receipts that are left out, added, repeated, moved or replaced by a hash that is not theirs are found', async () => {
  expect(await problems(changed('receipt', () => []))).toContainEqual(expect.stringContaining('and has 3'))
  expect(await problems(changed('receipt', (text) => [text, text]))).toContainEqual(expect.stringContaining('a replay'))
  const foreign = line({ type: 'receipt', body: canonicalJson(receipt(99)) })
  expect(await problems(changed('receipt', () => foreign))).toContainEqual(
    expect.stringContaining('the root of claim 1'),
  )
  expect(await problems(changed('receipt', () => line({ type: 'leaf', hash: 'a'.repeat(64) })))).toContainEqual(
    expect.stringContaining('the root of claim 1'),
  )
})

/** A ledger that goes on with a claim that its executor signed and that is wrong in itself. */
async function withWrongClaim(changes: Parameters<typeof claimOver>[2], receipts = [receipt(50)]): Promise<string[]> {
  const store = await ledgerOf(owners)
  const { executor, requester } = owners
  const wrong = claimOver(receipts, { issuer: clusterOf(executor), audience: clusterOf(requester) }, changes)
  const id = '00000000-0000-4000-8000-000000000002'
  const moved = { ...wrong, requestId: id }
  const key = { ...executed, requestId: id }
  const own = receipts.map((each) => ({ ...each, requestId: id }))
  const records = own.map(
    (each) => ({ kind: 'Served', at: 0, peer: executed.peer, receipt: each, salt: 'a'.repeat(22) }) as const,
  )
  await store.takeRecords('gateway-1', 0, records, start)
  const { root } = claimOver(own, { issuer: clusterOf(executor), audience: clusterOf(requester) })
  const signed = await signClaim({ ...moved, root: changes?.changes?.root ?? root }, executor.keys.Receipt)
  const leaves = (await store.claimable(key, 100)).map(({ leaf }) => leaf)
  await store.saveClaim(key, 'main', signed, leaves, start)
  await checkpointOf(store, owners, start + 6 * 86_400_000)
  return exported(store, owners)
}

test('a claim that its executor signed with wrong sums, costs, roots, times or counts is found', async () => {
  expect(await problems(await withWrongClaim({ final: true }))).toEqual([])
  const one = claimOver([receipt(50)], { issuer: clusterOf(owners.executor), audience: clusterOf(owners.requester) })
  const cases: [Parameters<typeof claimOver>[2], string][] = [
    [{ changes: { micros: one.micros + 1 } }, 'costs 6667 micros, and its GPU seconds at its price cost 6666'],
    [{ changes: { units: { ...one.units, outputTokens: 999 } } }, 'says 999 outputTokens'],
    [{ changes: { root: 'b'.repeat(64) } }, 'the root of claim 1'],
    [{ changes: { count: 2 } }, 'says 2 receipts'],
    [{ changes: { until: '2026-12-01T00:00:00.000Z' } }, 'claim'],
    [{ changes: { price: { currency: 'USD', microsPerGPUHour: 400_000 } } }, 'another price than its claim'],
    [{ changes: { audience: clusterOf(owners.witness) } }, 'not between the two owners'],
    [{ changes: { issued: '2026-12-25T00:00:00.000Z' } }, 'after the end of its key'],
  ]
  for (const [changes, problem] of cases) {
    const file = await withWrongClaim(changes)
    // A claim of another month is not in the file at all.
    if (changes?.changes?.until !== undefined) expect(file.join('')).not.toContain('000000000002')
    else expect(await problems(file)).toContainEqual(expect.stringContaining(problem))
  }
})

test('messages by another key, by a role that may not, or replayed into another grant are forged', async () => {
  const { executor, requester, witness } = owners
  const claimLine = parsed(body.find((each) => typeOf(each) === 'claim') ?? '')
  if (claimLine.type !== 'claim') throw new Error('no claim')
  const parties = { issuer: clusterOf(executor), audience: clusterOf(requester) }
  const forge = async (signer: Parameters<typeof signClaim>[1]) => {
    const { envelope } = await signClaim(claimOver([receipt(10)], parties), signer)
    return problems(changed('claim', () => line({ ...claimLine, envelope })))
  }
  expect(await forge(witness.keys.Receipt)).toContainEqual(expect.stringContaining('names its key'))
  expect(await forge(executor.keys.Grant)).toContainEqual(expect.stringContaining('names its key'))
  expect(await forge(executor.keys.Receipt)).toContainEqual(expect.stringContaining('not in the log'))
  const settlementLine = parsed(body.find((each) => typeOf(each) === 'settlement') ?? '')
  const own = settlementOf(claimOver([], parties), 'a'.repeat(64), parties)
  const { envelope } = await signSettlement(own, executor.keys.Receipt)
  const found = await problems(changed('settlement', () => line({ ...settlementLine, envelope })))
  expect(found).toContainEqual(expect.stringContaining('about another claim'))
  expect(found).toContainEqual(expect.stringContaining('not by the one that the claim is for'))
})

test('a bundle that no root key of the trust domain signed is not believed', async () => {
  const other = await testOwner('hospital', { now: start })
  const found = await problems(changed('bundle', () => line({ type: 'bundle', envelope: other.envelope })))
  expect(found).toContainEqual(expect.stringContaining('no bundle of'))
  const { bundle } = owners.executor
  const stolen = await testOwner('hospital', { now: start })
  const forged = await stolen.publish({ trustDomain: bundle.trustDomain }).catch(() => '{}')
  expect(await problems(changed('bundle', () => line({ type: 'bundle', envelope: forged })))).toContainEqual(
    expect.stringContaining('bundle'),
  )
})

test('after a key was revoked, what it signed later is not believed, and what it signed before is', async () => {
  const { keyId } = owners.executor.keys.Receipt
  const at = (issued: string) => ({
    ...owners.executor.bundle,
    sequence: 9,
    issued,
    notAfter: '2026-12-24T00:00:00Z',
    revoked: [keyId],
  })
  const { signBundle } = await import('../../federation/bundle.ts')
  const revoking = async (issued: string) => {
    const envelope = await signBundle(at(issued), owners.executor.root, new AbortController().signal)
    return problems(changed('bundle', (text) => [text, line({ type: 'bundle', envelope })]))
  }
  expect(await revoking('2026-11-10T00:00:00Z')).toEqual([])
  expect(await revoking('2026-11-02T10:01:30Z')).toContainEqual(expect.stringMatching(/claim 2 .*key was revoked/))
})

test('a log that was written anew behind a checkpoint is a fork, and two roots of one size are a split view', async () => {
  const { executor } = owners
  const other = await ledgerOf(owners)
  const { size } = await other.head('main')
  const { envelope } = await signCheckpoint(
    { issuer: clusterOf(executor), size, root: 'c'.repeat(64), at: start + 5 * 86_400_000 },
    executor.keys.Receipt,
  )
  const nth = body.filter((each) => typeOf(each) === 'checkpoint').length - 1
  const forked = changed('checkpoint', (text) => line({ ...parsed(text), envelope }), nth)
  const found = await problems(forked)
  expect(found).toContainEqual(expect.stringContaining('fork: the log does not go on'))
  expect(found).toContainEqual(expect.stringContaining('split view'))
  expect(found).toContainEqual(expect.stringContaining('is not in the log'))
})

test('two files that say different things about one log or claim are a split view', async () => {
  expect(await problems(good, good)).toEqual([])
  const other = await withWrongClaim({ final: true })
  expect(await problems(good, other)).toEqual([])
  const { executor, requester, witness } = owners
  const store = await ledgerOf({ executor, requester, witness })
  const parties = { issuer: clusterOf(executor), audience: clusterOf(requester) }
  const claim = await signClaim(
    claimOver([], parties, { number: 1, final: true, reserved: 3600 }),
    executor.keys.Receipt,
  )
  const key = { ...executed, requestId: requestId.replace(/1$/, '7') }
  const moved = await signClaim({ ...claim.message, requestId: key.requestId }, executor.keys.Receipt)
  await store.saveClaim(key, 'main', moved, [], start)
  const second = await signCheckpoint(
    { issuer: clusterOf(executor), ...(await store.head('main')), at: start + 5 * 86_400_000 },
    executor.keys.Receipt,
  )
  await store.saveCheckpoint('main', { checkpoint: second.message, envelope: second.envelope })
  const found = await problems(other, await exported(store, owners))
  expect(found).toContainEqual(
    expect.stringMatching(/split view or fork: the root of .* at 8 entries is another one in file-0/),
  )
})

test("a claim that was settled, and is in one owner's file alone, was left out of the other", async () => {
  const swap = (text: string): string => {
    const head = parsed(text)
    if (head.type !== 'head') throw new Error('no head')
    return line({ ...head, log: head.peer, peer: head.log })
  }
  const lastClaim = body.findLastIndex((each) => typeOf(each) === 'claim')
  const theirs = body.map((each) => (typeOf(each) === 'head' ? swap(each) : each))
  const sentence = /^claim 3 of .* is settled in file-0, and is not in this file$/
  expect(await problems(good, sealed(theirs.slice(0, lastClaim)))).toContainEqual(expect.stringMatching(sentence))
  expect(await problems(good, sealed(theirs))).not.toContainEqual(expect.stringMatching(sentence))
})

test('what was erased and pruned leaves an export that verifies, and says what could not be checked', async () => {
  const store = await ledgerOf(owners)
  expect(await store.eraseSalts(start + 1)).toBe(12)
  expect(await store.pruneReceipts(start + 86_400_000, 6)).toBe(6)
  const report = await verified(await exported(store, owners))
  expect(report).toMatchObject({ findings: [], prunedReceipts: 6 })
})

test('trust domains that were told on the phone must be in the file', async () => {
  const { verifyExports } = await import('./verify-export.ts')
  const { linesOf } = await import('./file-lines.ts')
  async function* bytes() {
    yield Buffer.from(good.join(''))
  }
  const file = { name: 'f', lines: linesOf(bytes()) }
  const report = await verifyExports([file], { trustDomains: [owners.witness.bundle.trustDomain] })
  expect(report.findings).toMatchObject([{ problem: expect.stringContaining('is neither of the two') }])
})
