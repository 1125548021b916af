import type { ReceiptBook, SeenAnswer, SentRequest } from '@hansa/operator/gateway/receipts/receipt-book.ts'
import type { Receipt } from '@hansa/operator/ledger/receipt.ts'

/** A book in memory, which tests read. */
export type MemoryReceiptBook = ReceiptBook & {
  servedFor: { peer: string; receipt: Receipt; salt: string }[]
  sentTo: { peer: string; request: SentRequest }[]
  seenFrom: { peer: string; answer: SeenAnswer }[]
  /** What `problem` says from now on. */
  stopped: 'SpoolFull' | 'NotAgreed' | undefined
}

export function memoryReceiptBook(): MemoryReceiptBook {
  const book: MemoryReceiptBook = {
    servedFor: [],
    sentTo: [],
    seenFrom: [],
    stopped: undefined,
    problem: () => book.stopped,
    served: async (peer, receipt, salt) => {
      book.servedFor.push({ peer, receipt, salt })
    },
    sent: async (peer, request) => {
      book.sentTo.push({ peer, request })
    },
    seen: async (peer, answer) => {
      book.seenFrom.push({ peer, answer })
    },
    close: async () => undefined,
  }
  return book
}
