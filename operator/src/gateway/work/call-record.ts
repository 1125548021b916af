import { hash, randomFillSync } from 'node:crypto'
import { commitment, type Receipt, receiptSchema } from '../../ledger/receipt.ts'
import type { ReceiptBook } from '../receipts/receipt-book.ts'
import type { RoutedPeer } from '../route/peer-endpoint.ts'
import { BodyDigest } from './body-digest.ts'
import { type ReceiptRequest, receiptRequestText } from './headers.ts'

const maxReceiptText = 4096

/** Random bytes from a pool: asking the kernel for each would cost more than the rest. */
const pool = Buffer.alloc(4096)
let used = pool.length
function random16(): Buffer {
  if (used + 16 > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += 16
  return Buffer.from(pool.subarray(used - 16, used))
}

/** What the requester keeps of one request to a peer: commitments to what it sent and got. */
export class CallRecord {
  readonly #ask: ReceiptRequest
  readonly #salt = random16()
  readonly #callerName: string
  readonly #at: RoutedPeer
  readonly #service: { namespace: string; service: string }
  readonly #book: ReceiptBook | undefined
  readonly #request = new BodyDigest()
  readonly #response = new BodyDigest()
  #seen = false

  constructor(
    at: RoutedPeer,
    service: { namespace: string; service: string },
    callerName: string,
    book: ReceiptBook | undefined,
  ) {
    this.#at = at
    this.#service = service
    this.#callerName = callerName
    this.#book = book
    const caller = commitment('caller', this.#salt, hash('sha256', callerName, 'buffer'))
    this.#ask = { id: random16().toString('base64url'), salt: this.#salt.toString('base64url'), caller }
  }

  /** What the executor is told, so that its receipt agrees with what we keep. */
  get header(): string {
    return receiptRequestText(this.#ask)
  }

  sent(chunk: Buffer): void {
    if (!this.#seen && this.#book !== undefined) this.#request.update(chunk)
  }

  got(chunk: Buffer): void {
    if (!this.#seen && this.#book !== undefined) this.#response.update(chunk)
  }

  /** Before anything is sent; resolves at once where no book is kept. */
  async begin(): Promise<void> {
    const { peer, requestId, epoch, model, dataClass, purpose } = this.#at
    const { id, salt, caller } = this.#ask
    const grant = { id, requestId, epoch, model, caller, dataClass, purpose }
    await this.#book?.sent(peer, { ...grant, salt, callerName: this.#callerName, ...this.#service })
  }

  /** After the answer ended or broke off; once. */
  async end(status: number, isWhole: boolean, trailer: unknown): Promise<void> {
    if (this.#book === undefined || this.#seen) return
    this.#seen = true
    const { peer, requestId, epoch } = this.#at
    const receipt = receiptOf(trailer)
    await this.#book.seen(peer, {
      id: this.#ask.id,
      requestId,
      epoch,
      request: commitment('request', this.#salt, this.#request.digest()),
      response: commitment('response', this.#salt, this.#response.digest()),
      requestBytes: this.#request.bytes,
      responseBytes: this.#response.bytes,
      status,
      whole: isWhole,
      ...(receipt !== undefined && { receipt }),
    })
  }
}

/** The receipt of a trailer, if its form is right; the ledger compares it with what we saw. */
function receiptOf(trailer: unknown): Receipt | undefined {
  if (typeof trailer !== 'string' || trailer.length > maxReceiptText) return undefined
  try {
    return receiptSchema.safeParse(JSON.parse(Buffer.from(trailer, 'base64url').toString('utf8'))).data
  } catch {
    // Not JSON is no receipt.
    return undefined
  }
}
