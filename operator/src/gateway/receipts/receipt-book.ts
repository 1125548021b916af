import type { Receipt } from '../../ledger/receipt.ts'

/** Work that one owner does for another: with the peer, under a request and an epoch. */
export type Grant = { peer: string; requestId: string; epoch: number }

/** What the requester knows before it sends; the receipt must agree with it. */
export type SentRequest = Pick<Receipt, 'id' | 'requestId' | 'epoch' | 'model' | 'caller' | 'dataClass' | 'purpose'> & {
  /** 16 bytes, base64url. */
  salt: string
  /** Name of the caller, for our own eyes; deleted with the salt. */
  callerName: string
  namespace: string
  service: string
}

/** What the requester saw: commitments and lengths of what it sent and got, whether or not a receipt came. */
export type SeenAnswer = Pick<
  Receipt,
  'id' | 'requestId' | 'epoch' | 'request' | 'response' | 'requestBytes' | 'responseBytes' | 'status'
> & {
  /** The receipt as it came, if its form is right; the ledger compares. */
  receipt?: Receipt
  /** Whether the answer came to its end. */
  whole: boolean
}

/**
 * Where a gateway writes what it did for other owners and what others did for it. A record is with the operating system before its promise
 * resolves, so that no end of the process loses it; it goes on to the ledger in the background, each exactly once.
 */
export type ReceiptBook = {
  /** Why no request may be taken or sent under this grant now; undefined when one may. */
  problem(side: 'Executor' | 'Requester', grant: Grant): 'SpoolFull' | 'NotAgreed' | undefined
  /** Executor: before the end of the answer goes out. */
  served(peer: string, receipt: Receipt, salt: string): Promise<void>
  /** Requester: before the request goes out. */
  sent(peer: string, request: SentRequest): Promise<void>
  /** Requester: after the answer ended, or broke off. */
  seen(peer: string, answer: SeenAnswer): Promise<void>
  close(): Promise<void>
}
