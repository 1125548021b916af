import type { LedgerDeps } from './deps.ts'

export type Retention = {
  /** Days after which salts and names of callers are erased. */
  saltDays: number
  /** Days after which the bytes of agreed receipts are erased; their hashes stay. */
  receiptDays: number
}

const day = 86_400_000
const receiptsAtOnce = 1000

/** Erases what is older than it may be. Claims, log and hashes are kept, so that what was agreed stays provable. */
export async function retain(
  { store, clock, log, signal }: Pick<LedgerDeps, 'store' | 'clock' | 'log' | 'signal'>,
  retention: Retention,
): Promise<void> {
  const now = clock.now()
  const salts = await store.eraseSalts(now - retention.saltDays * day)
  let receipts = 0
  for (let pruned = receiptsAtOnce; pruned === receiptsAtOnce && !signal.aborted; ) {
    pruned = await store.pruneReceipts(now - retention.receiptDays * day, receiptsAtOnce)
    receipts += pruned
  }
  if (salts + receipts > 0) log.info({ salts, receipts }, 'erased what was kept for long enough')
}
