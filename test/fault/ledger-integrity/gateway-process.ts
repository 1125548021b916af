import { type OpenBook, openReceiptBook } from '@hansa/operator/gateway/receipts/open-receipt-book.ts'
import { postRecords } from '@hansa/operator/gateway/receipts/post-records.ts'
import type { SeenAnswer, SentRequest } from '@hansa/operator/gateway/receipts/receipt-book.ts'
import type { Credentials } from '@hansa/operator/identity/identity.ts'
import type { Receipt } from '@hansa/operator/ledger/receipt.ts'
import { createLogger } from '@hansa/operator/process/log.ts'
import { answerCalls } from '../../tools/process-calls.ts'
import { givenIdentity, skewedClock } from './child-identity.ts'

export type GatewaySetup = {
  folder: string
  uri: string
  credentials: Credentials
  ledgerUrl: string
  ledgerUri: string
  peerName: string
  skewMilliseconds: number
}

export type ToWrite =
  | { kind: 'Sent'; request: SentRequest }
  | { kind: 'Served'; receipt: Receipt; salt: string }
  | { kind: 'Seen'; answer: SeenAnswer }

let opened: { book: OpenBook; peerName: string } | undefined

answerCalls({
  start: async ({ folder, uri, credentials, ledgerUrl, ledgerUri, peerName, skewMilliseconds }: GatewaySetup) => {
    const book = await openReceiptBook({
      ...{ folder, maxBytes: 1 << 28, idleMilliseconds: 200, drainMilliseconds: 60_000 },
      post: postRecords({ url: ledgerUrl, uri: ledgerUri, identity: givenIdentity(uri, credentials) }),
      clock: skewedClock(skewMilliseconds),
      log: createLogger('gateway', process.env.TEST_LOG_LEVEL ?? 'silent'),
    })
    opened = { book, peerName }
  },
  /** Which of them were acknowledged. */
  write: (records: readonly ToWrite[]): Promise<boolean[]> =>
    Promise.all(
      records.map(async (record) => {
        if (opened === undefined) return false
        const { book, peerName } = opened
        if (record.kind === 'Sent') await book.sent(peerName, record.request)
        else if (record.kind === 'Served') await book.served(peerName, record.receipt, record.salt)
        else await book.seen(peerName, record.answer)
        return true
      }),
    ),
  /** Hands over all that is there, and ends. */
  drain: () => opened?.book.close(),
})
