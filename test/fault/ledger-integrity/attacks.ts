import { createLedgerStore } from '@hansa/operator/ledger/store/create-store.ts'
import { openSqlite } from '@hansa/operator/ledger/store/sqlite-database.ts'
import { testOwner } from '../../builders/federation.ts'
import {
  claimOver,
  executed,
  leafOf,
  receipt,
  saltOf,
  settlementOf,
  signCheckpoint,
  signClaim,
  signSettlement,
  start,
} from '../../builders/ledger.ts'
import { checkpointOf, clusterOf, exported, type Owners, sealed } from '../../builders/ledger-export.ts'

import { oneText } from './own-proof.ts'

/** Files that an owner with all its keys made to deceive; every one must fail to verify. */
export type Attack = { name: string; files: readonly (readonly string[])[] }

type Lie = {
  claim?: Parameters<typeof claimOver>[2]
  /** Signs the settlement with the executor's key. */
  forgesSettlement?: boolean
  /** Numbers of the receipts. */
  numbers?: readonly number[]
}

/** Exports of honest owners, which must verify, and the attacks. */
export async function makeAttacks(): Promise<{ honest: readonly string[]; attacks: Attack[] }> {
  const [executor, requester, witness] = await Promise.all(
    ['hospital', 'university', 'witness'].map((name) => testOwner(name, { now: start - 3_600_000 })),
  )
  if (executor === undefined || requester === undefined || witness === undefined) throw new Error('no owners')
  for (const owner of [executor, requester, witness]) {
    await owner.publish({
      roleKeys: owner.bundle.roleKeys.map((key) => ({ ...key, notAfter: '2026-12-24T00:00:00Z' })),
    })
  }
  const owners = { executor, requester, witness }
  const honest = await exportWith(owners, {})
  const body = honest.slice(0, -1)
  const of = (type: string) => body.filter((line) => JSON.parse(line).type === type)
  const [claim = '', ...receipts] = [...of('claim'), ...of('receipt')]
  const [settlement = '', checkpoint = '', head = ''] = [of('settlement'), of('checkpoint'), of('head')].map(
    ([line]) => line,
  )
  const without = (line: string) => body.filter((each) => each !== line)
  const again = await newSettlement(owners)
  const other = await otherCheckpoint(owners)
  const replacing = (line: string, by: string) => body.map((each) => (each === line ? by : each))
  const one = (name: string, lines: readonly string[]) => ({ name, files: [lines] })
  const attacks: Attack[] = [
    one('truncated', body),
    one('a receipt left out', sealed(without(receipts[1] ?? ''))),
    one('a claim repeated', sealed([...body, claim, ...receipts, settlement])),
    one('reordered', sealed([...without(head).slice(0, 2), head, ...without(head).slice(2)])),
    one('a bundle behind claims', sealed([...body, ...of('bundle').slice(-1)])),
    one('checkpoints behind claims', sealed([...without(checkpoint), checkpoint])),
    one('changed without a fitting end', [...without(settlement), honest.at(-1) ?? '']),
    one('a settlement that is not in the log', sealed(replacing(settlement, withEnvelope(settlement, again)))),
    one('a forged settlement', await exportWith(owners, { forgesSettlement: true })),
    one('changed sums', await exportWith(owners, { claim: { changes: { units: units({ outputTokens: 1 }) } } })),
    one('another cost', await exportWith(owners, { claim: { changes: { micros: 1_000_000 } } })),
    one('another price', await exportWith(owners, { claim: { changes: priceOf(800_000) } })),
    one('forked', sealed(afterCheckpoint(body, other))),
    { name: 'split view', files: [honest, await exportWith(owners, { numbers: [21, 22, 23, 24] })] },
  ]
  return { honest, attacks }
}

const numbers = [11, 12, 13, 14]
const units = (changes: { outputTokens: number }) => ({
  ...claimOver(
    numbers.map((each) => receipt(each)),
    { issuer: nobody, audience: nobody },
  ).units,
  ...changes,
})
const nobody = { trustDomain: 'nobody', clusterName: 'main' }
/** At a price whose cost is right: only the receipts tell. */
const priceOf = (microsPerGPUHour: number) => ({
  price: { currency: 'EUR', microsPerGPUHour },
  micros: Math.floor((60 * microsPerGPUHour) / 3600),
})

async function exportWith(
  owners: Owners,
  { claim: changes = {}, forgesSettlement, numbers: own }: Lie,
): Promise<string[]> {
  const { executor, requester, witness } = owners
  const store = createLedgerStore(openSqlite(':memory:'))
  for (const { bundle, envelope } of [executor, requester, witness]) {
    await store.saveBundle(bundle.trustDomain, bundle.clusterName, bundle.sequence, envelope)
  }
  const receipts = (own ?? numbers).map((each) => receipt(each))
  const records = receipts.map((each, index) => {
    return { kind: 'Served', at: start, peer: executed.peer, receipt: each, salt: saltOf(index) } as const
  })
  await store.takeRecords('gateway', 0, records, start)
  const down = { issuer: clusterOf(executor), audience: clusterOf(requester) }
  const claim = await signClaim(claimOver(receipts, down, { final: true, ...changes }), executor.keys.Receipt)
  await store.saveClaim(executed, 'main', claim, receipts.map(leafOf), start)
  const up = { issuer: clusterOf(requester), audience: clusterOf(executor) }
  const said = settlementOf(claim.message, claim.payloadSha256, up, { sequence: 2 })
  const key = forgesSettlement === true ? executor.keys.Receipt : requester.keys.Receipt
  await store.saveSettlement(executed, 'main', await signSettlement(said, key), start)
  await checkpointOf(store, { executor, witness }, start + 86_400_000)
  return exported(store, owners)
}

/** A settlement of the same claim by the requester's own key, which never came into the log. */
async function newSettlement({ executor, requester }: Owners): Promise<string> {
  const down = { issuer: clusterOf(executor), audience: clusterOf(requester) }
  const up = { issuer: clusterOf(requester), audience: clusterOf(executor) }
  const receipts = numbers.map((each) => receipt(each))
  const claim = await signClaim(claimOver(receipts, down, { final: true }), executor.keys.Receipt)
  const said = settlementOf(claim.message, claim.payloadSha256, up, { sequence: 3 })
  return (await signSettlement(said, requester.keys.Receipt)).envelope
}

/** A smaller head of another log, by the executor's own key. */
async function otherCheckpoint({ executor }: Owners): Promise<string> {
  const log = { issuer: clusterOf(executor), size: 1, root: 'ab'.repeat(32), at: start + 80_000_000 }
  return (await signCheckpoint(log, executor.keys.Receipt)).envelope
}

function withEnvelope(line: string, envelope: string): string {
  return `${oneText({ ...JSON.parse(line), envelope })}\n`
}

/** The lines with another checkpoint before the one that is there. */
function afterCheckpoint(body: readonly string[], envelope: string): string[] {
  return body.flatMap((line) => {
    const parsed = JSON.parse(line)
    if (parsed.type !== 'checkpoint') return [line]
    const first = `${oneText({ type: 'checkpoint', envelope, proof: [] })}\n`
    return [first, `${oneText({ ...parsed, proof: ['cd'.repeat(32)] })}\n`]
  })
}
