import { expect, test } from 'vitest'
import { idOf, leafOf, receipt, requestId } from '../../../../test/builders/ledger.ts'
import { dateTimeOf } from '../../federation/date-time.ts'
import type { Receipt } from '../receipt.ts'
import { isBeyond } from './caps.ts'
import { type Judging, judgeClaim, type Known } from './judge-claim.ts'
import { type Claim, costOf, makeClaim } from './make-claim.ts'
import { receiptRoot } from './receipt-root.ts'

const start = Date.parse('2026-11-02T10:00:00Z')
const price = { currency: 'EUR', microsPerGPUHour: 400_000 }
const receipts = [receipt(1), receipt(2), receipt(3)]

/** What the requester's gateways wrote about these receipts, when all is well. */
function knownFrom(these: readonly Receipt[]): Map<string, Known> {
  return new Map(
    these.map((of) => {
      const { id, epoch, model, caller, dataClass, purpose } = of
      const { request, response, requestBytes, responseBytes, status } = of
      const about = { id, requestId, epoch, model, caller, dataClass, purpose, namespace: 'apps', service: 'digits' }
      const measured = { id, requestId, epoch, request, response, requestBytes, responseBytes, status }
      return [id, { sent: { ...about, at: start }, seen: { ...measured, receipt: of, whole: true, at: start + 1000 } }]
    }),
  )
}

function claimOf(these: readonly Receipt[], changes: Partial<Claim> = {}): Claim {
  const made = makeClaim({
    ...{ requestId, epoch: 1, previous: undefined, sequence: 1, receipts: these, reservedGPUSeconds: 60, price },
    ...{ from: start, until: start + 60_000, final: false },
  })
  const cluster = { trustDomain: 'a'.repeat(52), clusterName: 'main' }
  const head = { version: 1 as const, issuer: cluster, audience: cluster }
  return { ...head, issued: dateTimeOf(start), expires: dateTimeOf(start + 1), ...made, ...changes }
}

function judging(changes: Partial<Judging> = {}, these: readonly Receipt[] = receipts): Judging {
  const known = knownFrom(receipts)
  return {
    claim: claimOf(these),
    previous: undefined,
    terms: { price, asked: { replicas: 2, gpusPerWorker: 1, drainSeconds: 0, since: start } },
    receipts: these,
    knownOf: (id) => known.get(id),
    wasClaimed: () => false,
    gpuSecondsBefore: 0,
    now: start + 60_000,
    ...changes,
  }
}

/** Another answer of our gateway to the first request. */
function seenAs(changes: Partial<NonNullable<Known['seen']>>, sent: Partial<Known['sent']> = {}): Partial<Judging> {
  const known = knownFrom(receipts)
  const first = known.get(idOf(1))
  if (first?.seen === undefined) throw new Error('no first receipt')
  known.set(idOf(1), { sent: { ...first.sent, ...sent }, seen: { ...first.seen, ...changes } })
  return { knownOf: (id) => known.get(id) }
}

const reasonsOf = (changes: Partial<Judging>, these?: readonly Receipt[]) =>
  [...new Set(judgeClaim(judging(changes, these)).map(({ reason }) => reason))].sort()

test('a claim of what was done as it was granted is agreed', () => {
  expect(judgeClaim(judging())).toEqual([])
  expect(judgeClaim(judging({}, []))).toEqual([])
  const second = {
    number: 2,
    previous: 'ab'.repeat(32),
    from: dateTimeOf(start + 60_000),
    until: dateTimeOf(start + 60_000),
  }
  const previous = { number: 1, sha256: 'ab'.repeat(32), until: dateTimeOf(start + 60_000) }
  expect(judgeClaim(judging({ claim: claimOf(receipts, second), previous }))).toEqual([])
})

const other = 'cd'.repeat(32)
test.for<[string, string[], Partial<Judging>, Receipt[]?]>([
  ['that leaves a number out', ['ChainBroken'], { claim: claimOf(receipts, { number: 2 }) }],
  [
    'that does not name the one before',
    ['ChainBroken'],
    { previous: { number: 1, sha256: other, until: dateTimeOf(start) } },
  ],
  ['that ends before it begins', ['TimesWrong'], { claim: claimOf(receipts, { until: dateTimeOf(start - 1) }) }],
  [
    'that begins before the one before ended',
    ['TimesWrong'],
    {
      claim: claimOf(receipts, { number: 2, previous: other }),
      previous: { number: 1, sha256: other, until: dateTimeOf(start + 1) },
    },
  ],
  ['of no grant', ['GrantUnknown'], { terms: undefined }],
  [
    'at another price',
    ['PriceNotGranted', 'SumsWrong'],
    { claim: claimOf(receipts, { price: { currency: 'EUR', microsPerGPUHour: 400_001 * 60 } }) },
  ],
  [
    'at a price where the work is free',
    ['PriceNotGranted'],
    { terms: { price: undefined, asked: { replicas: 2, gpusPerWorker: 1, drainSeconds: 0, since: start } } },
  ],
  [
    'of more cost than its GPU seconds make',
    ['SumsWrong'],
    { claim: claimOf(receipts, { micros: costOf(60, price) + 1 }) },
  ],
  [
    'with a wrong sum',
    ['SumsWrong'],
    { claim: claimOf(receipts, { units: { ...claimOf(receipts).units, outputTokens: 1 } }) },
  ],
  ['with a wrong count', ['SumsWrong'], { claim: claimOf(receipts, { count: 4 }) }],
  ['of more GPU seconds than there were', ['TooManyGPUSeconds'], { gpuSecondsBefore: 2 * 180 }],
  ['of GPU seconds without a request that we know', ['TooManyGPUSeconds'], { terms: { price, asked: undefined } }],
  ['with another root', ['RootWrong'], { claim: claimOf(receipts, { root: other }) }],
  ['whose receipts are not shown', ['ReceiptsMissing'], { receipts: undefined }],
  ['of a request that nobody sent', ['ReceiptUnknown'], {}, [...receipts, receipt(4)]],
  ['with a receipt twice', ['Replayed'], {}, [...receipts, receipt(3)]],
  ['with a receipt of an earlier claim', ['Replayed'], { wasClaimed: (id) => id === idOf(2) }],
  [
    'with a receipt of another epoch',
    ['GrantWrong', 'ReceiptChanged'],
    {},
    [receipt(1, { epoch: 2 }), receipt(2), receipt(3)],
  ],
  [
    'with another price in a receipt',
    ['PriceNotGranted', 'ReceiptChanged'],
    {},
    [receipt(1, { price: { currency: 'USD', microsPerGPUHour: 1 } })],
  ],
  ['for another class', ['ClassOrPurposeWrong'], seenAs({}, { dataClass: 'Public' })],
  ['for another purpose', ['ClassOrPurposeWrong'], seenAs({}, { purpose: 'Training' })],
  ['by another model', ['ModelWrong'], seenAs({}, { model: other })],
  ['of another caller', ['CommitmentWrong'], seenAs({}, { caller: other })],
  ['of another request', ['CommitmentWrong'], seenAs({ request: other })],
  ['of another answer', ['CommitmentWrong'], seenAs({ response: other })],
  ['of more bytes', ['MeasureWrong'], seenAs({ responseBytes: 7 })],
  ['of another status', ['MeasureWrong'], seenAs({ status: 500 })],
  ['whose receipt was another in the answer', ['ReceiptChanged'], seenAs({ receipt: receipt(1, { inputTokens: 9 }) })],
  [
    'of more busy time than the answer took',
    ['BusyTimeWrong', 'ReceiptChanged'],
    {},
    [receipt(1, { busyGPUMilliseconds: 9000 })],
  ],
])('a claim %s is disputed: %j', ([, reasons, changes, these]) => {
  expect(reasonsOf(changes, these)).toEqual(reasons)
})

test('an answer that broke off is judged by what can be compared', () => {
  const broken = { whole: false, status: 200, response: other, responseBytes: 10 }
  expect(reasonsOf(seenAs(broken))).toEqual([])
  expect(reasonsOf(seenAs({ ...broken, responseBytes: 5000 }))).toEqual(['MeasureWrong'])
  expect(reasonsOf(seenAs({ ...broken, requestBytes: 1 }))).toEqual(['MeasureWrong'])
  expect(reasonsOf(seenAs({ ...broken, request: other }))).toEqual(['CommitmentWrong'])
  expect(reasonsOf(seenAs({ ...broken, responseBytes: receipt(1).responseBytes }))).toEqual(['CommitmentWrong'])
  const known = knownFrom(receipts)
  const first = known.get(idOf(1))
  if (first !== undefined) known.set(idOf(1), { sent: first.sent, seen: undefined })
  expect(reasonsOf({ knownOf: (id) => known.get(id) })).toEqual([])
})

test('each dispute of a receipt names its leaf, and there are no more of them than a settlement holds', () => {
  const unknown = Array.from({ length: 100 }, (_, i) => receipt(100 + i))
  const disputes = judgeClaim(judging({}, unknown))
  expect(disputes).toHaveLength(64)
  expect(disputes[0]?.leaf).toBe(leafOf(receipt(100)))
})

test('the root does not hang on the order in which receipts came', () => {
  const leaves = receipts.map(leafOf)
  expect(receiptRoot([...leaves].reverse())).toBe(receiptRoot(leaves))
})

test('cost is exact beyond what numbers hold, and rounded down', () => {
  expect(costOf(1, { currency: 'EUR', microsPerGPUHour: 3599 })).toBe(0)
  expect(costOf(9_007_199_254, { currency: 'EUR', microsPerGPUHour: 999_999_999 })).toBe(2_501_999_790_275_777)
})

test('a grant is stopped by receipts or by GPU seconds', () => {
  const caps = { maxUnagreedReceipts: 10, maxUnagreedGPUSeconds: 100 }
  expect(isBeyond({ receipts: 10, gpuSeconds: 100 }, caps)).toBe(false)
  expect(isBeyond({ receipts: 11, gpuSeconds: 0 }, caps)).toBe(true)
  expect(isBeyond({ receipts: 0, gpuSeconds: 101 }, caps)).toBe(true)
})
