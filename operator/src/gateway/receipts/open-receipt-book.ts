import type { Clock } from '../../kube/clock.ts'
import type { LedgerRecord } from '../../ledger/record.ts'
import type { Logger } from '../../process/log.ts'
import { type PostRecords, startPusher } from './push-records.ts'
import type { Grant, ReceiptBook } from './receipt-book.ts'
import { openSpool } from './spool.ts'

export type ReceiptBookOptions = {
  /** Where the spool lies. */
  folder: string
  maxBytes: number
  /** How often the ledger is asked for stopped grants when there is nothing to send. */
  idleMilliseconds: number
  /** How long `close` waits for the ledger to take what is there. */
  drainMilliseconds: number
  post: PostRecords
  clock: Clock
  log: Logger
}

/** The book of a gateway, and what metrics want to know of it. */
export type OpenBook = ReceiptBook & { spoolBytes(): number; stoppedGrants(): number }

/** Opens the book: a spool on disk, from which the ledger is given everything in its order. */
export async function openReceiptBook(options: ReceiptBookOptions): Promise<OpenBook> {
  const { folder, maxBytes, idleMilliseconds, drainMilliseconds, post, clock, log } = options
  const spool = await openSpool({ folder, maxBytes, log, clock })
  let stopped = new Set<string>()
  const pusher = startPusher({
    ...{ spool, post, idleMilliseconds, clock, log },
    onAnswer: (answer) => {
      stopped = new Set(answer.stopped.map(keyOf))
    },
  })
  // The ledger parses it; only a receipt on its own has bytes that matter.
  const write = (record: LedgerRecord) => spool.append(Buffer.from(JSON.stringify(record)))
  return {
    problem(side, grant) {
      if (spool.isFull()) return 'SpoolFull'
      return side === 'Executor' && stopped.has(keyOf(grant)) ? 'NotAgreed' : undefined
    },
    served: (peer, receipt, salt) => write({ kind: 'Served', at: clock.now(), peer, receipt, salt }),
    sent: (peer, request) => write({ kind: 'Sent', at: clock.now(), peer, request }),
    seen: (peer, answer) => write({ kind: 'Seen', at: clock.now(), peer, answer }),
    spoolBytes: () => spool.bytes,
    stoppedGrants: () => stopped.size,
    async close() {
      if (!(await pusher.drain(drainMilliseconds))) {
        log.warn(
          { bytes: spool.bytes },
          'the ledger has not taken all receipts; they go with this pod if its volume does',
        )
      }
      await pusher.close()
      await spool.close()
    },
  }
}

function keyOf({ peer, requestId, epoch }: Grant): string {
  return `${peer} ${requestId} ${epoch}`
}
