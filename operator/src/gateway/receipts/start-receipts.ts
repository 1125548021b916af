import { join } from 'node:path'
import { Gauge, type Registry } from 'prom-client'
import type { Identity } from '../../identity/identity.ts'
import { parseSpiffe, spiffe } from '../../identity/spiffe.ts'
import { type Clock, systemClock } from '../../kube/clock.ts'
import type { Logger } from '../../process/log.ts'
import { type OpenBook, openReceiptBook, type ReceiptBookOptions } from './open-receipt-book.ts'
import { postRecords } from './post-records.ts'

export type ReceiptSettings = { ledgerUrl: string } & Pick<
  ReceiptBookOptions,
  'maxBytes' | 'idleMilliseconds' | 'drainMilliseconds'
>

/** Opens the book of a gateway in its state folder, and hands what is written to the ledger. */
export async function startReceipts(
  { stateDir, trustDomain }: { stateDir: string; trustDomain: string },
  { ledgerUrl, ...options }: ReceiptSettings,
  deps: { identity: Identity; log: Logger; registry: Registry; clock?: Clock },
): Promise<OpenBook> {
  const { identity, log, registry, clock = systemClock } = deps
  const namespace = parseSpiffe(identity.uri)?.namespace ?? ''
  const post = postRecords({ url: ledgerUrl, uri: spiffe(trustDomain, namespace, 'hansa-ledger'), identity })
  const book = await openReceiptBook({ ...options, folder: join(stateDir, 'receipts'), post, clock, log })
  receiptMetrics(registry, book)
  return {
    ...book,
    close: async () => {
      await book.close()
      await post.close()
    },
  }
}

/** Registers gauges of a book. */
export function receiptMetrics(registry: Registry, book: Pick<OpenBook, 'spoolBytes' | 'stoppedGrants'>): void {
  const registers = [registry]
  new Gauge({
    name: 'hansa_gateway_spool_bytes',
    help: 'Receipts on disk, those included that the ledger has taken and that are not removed yet.',
    registers,
    collect() {
      this.set(book.spoolBytes())
    },
  })
  new Gauge({
    name: 'hansa_gateway_stopped_grants',
    help: 'Grants under which requests of peers are refused, since too little of what was done is agreed.',
    registers,
    collect() {
      this.set(book.stoppedGrants())
    },
  })
}
