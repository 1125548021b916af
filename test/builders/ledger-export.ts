import { createHash } from 'node:crypto'
import { canonicalJson } from '../../operator/src/federation/canonical-json.ts'
import { writeExport } from '../../operator/src/ledger/export/write-export.ts'
import { createLedgerStore } from '../../operator/src/ledger/store/create-store.ts'
import { openSqlite } from '../../operator/src/ledger/store/sqlite-database.ts'
import type { LedgerStore } from '../../operator/src/ledger/store/store.ts'
import { linesOf } from '../../operator/src/ledger/verify/file-lines.ts'
import { verifyExports } from '../../operator/src/ledger/verify/verify-export.ts'
import type { TestOwner } from './federation.ts'
import {
  claimOver,
  executed,
  leafOf,
  receipt,
  saltOf,
  settlementOf,
  signCheckpoint,
  signClaim,
  signCosignature,
  signSettlement,
  start,
} from './ledger.ts'

export type Owners = { executor: TestOwner; requester: TestOwner; witness: TestOwner }

export const clusterOf = ({ bundle: { trustDomain, clusterName } }: Pick<TestOwner, 'bundle'>) => ({
  trustDomain,
  clusterName,
})

/** The ledger of an executor: three claims of four receipts, the second disputed and then agreed; a cosigned checkpoint after each. */
export async function ledgerOf({ executor, requester, witness }: Owners): Promise<LedgerStore> {
  const store = createLedgerStore(openSqlite(':memory:'))
  const down = { issuer: clusterOf(executor), audience: clusterOf(requester) }
  const up = { issuer: clusterOf(requester), audience: clusterOf(executor) }
  for (const { bundle, envelope } of [executor, requester, witness]) {
    await store.saveBundle(bundle.trustDomain, bundle.clusterName, bundle.sequence, envelope)
  }
  let previous: string | undefined
  for (let number = 1; number <= 3; number++) {
    const receipts = [0, 1, 2, 3].map((each) => receipt(number * 10 + each))
    const records = receipts.map((each, index) => {
      return { kind: 'Served', at: start, peer: executed.peer, receipt: each, salt: saltOf(index) } as const
    })
    await store.takeRecords('gateway-0', await store.spoolPosition('gateway-0'), records, start)
    const changes = { number, final: number === 3, ...(previous !== undefined && { previous }) }
    const claim = await signClaim(claimOver(receipts, down, changes), executor.keys.Receipt)
    await store.saveClaim(executed, 'main', claim, receipts.map(leafOf), start)
    previous = claim.payloadSha256
    const settle = async (more: Parameters<typeof settlementOf>[3]) => {
      const settlement = settlementOf(claim.message, claim.payloadSha256, up, more)
      await store.saveSettlement(executed, 'main', await signSettlement(settlement, requester.keys.Receipt), start)
    }
    if (number === 2) {
      const disputes = [
        { reason: 'ReceiptUnknown', message: `none of our gateways sent it`, leaf: leafOf(receipt(20)) },
      ]
      await settle({ sequence: 1, state: 'Disputed', disputes })
    }
    await settle({ sequence: 2 })
    await checkpointOf(store, { executor, witness }, start + number * 60_000 + 86_400_000 * number)
  }
  return store
}

/** A checkpoint of the log as it is, cosigned. */
export async function checkpointOf(
  store: LedgerStore,
  { executor, witness }: Pick<Owners, 'executor' | 'witness'>,
  at: number,
): Promise<void> {
  const issuer = clusterOf(executor)
  const { size, root } = await store.head('main')
  const { message: checkpoint, envelope } = await signCheckpoint({ issuer, size, root, at }, executor.keys.Receipt)
  await store.saveCheckpoint('main', { checkpoint, envelope })
  const { expires } = claimOver([], { issuer, audience: issuer })
  const parties = { issuer: clusterOf(witness), audience: issuer, log: issuer }
  const { issued } = checkpoint
  const cosigned = await signCosignature(
    { version: 1, ...parties, sequence: size, issued, expires, size, root },
    witness.keys.Receipt,
  )
  await store.saveCosignature('main', {
    witness: 'witness',
    cosignature: cosigned.message,
    envelope: cosigned.envelope,
  })
}

export const requestOf = ({ executor, requester }: Pick<Owners, 'executor' | 'requester'>) => ({
  identity: 'main',
  log: clusterOf(executor),
  peerName: executed.peer,
  peer: clusterOf(requester),
  month: '2026-11',
  now: start + 7 * 86_400_000,
})

export async function exported(store: LedgerStore, owners: Owners): Promise<string[]> {
  const lines: string[] = []
  for await (const line of writeExport(store, requestOf(owners))) lines.push(line)
  return lines
}

/** The lines with an end that fits them again: what a forger would write. */
export function sealed(lines: readonly string[]): string[] {
  const hash = createHash('sha256')
  for (const line of lines) hash.update(line)
  return [...lines, `${canonicalJson({ type: 'end', lines: lines.length, sha256: hash.digest('hex') })}\n`]
}

export function verified(...files: (readonly string[] | Uint8Array)[]) {
  return verifyExports(
    files.map((file, index) => {
      const bytes = file instanceof Uint8Array ? file : Buffer.from(file.join(''))
      return { name: `file-${index}`, lines: linesOf(chunked(bytes)) }
    }),
  )
}

async function* chunked(bytes: Uint8Array) {
  for (let at = 0; at < bytes.length; at += 5000) yield bytes.subarray(at, at + 5000)
}
