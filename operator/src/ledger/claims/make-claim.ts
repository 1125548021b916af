import type { LeasePrice } from '../../api/owner-scalars.ts'
import { dateTimeOf } from '../../federation/date-time.ts'
import type { MessageOf } from '../../federation/messages.ts'
import { leafHash, type Receipt, receiptBytes } from '../receipt.ts'
import { receiptRoot } from './receipt-root.ts'

export type Claim = MessageOf<'Claim'>
/** A claim before it is signed: the signer fills in the rest. */
export type UnsignedClaim = Omit<Claim, 'version' | 'issuer' | 'audience' | 'issued' | 'expires'>

/** Most receipts of one claim; what is more waits for the next. */
export const maxClaimReceipts = 10_000

/** What is claimed: the receipts and the GPU seconds since the claim before, if there was one. */
export type Claimable = {
  requestId: string
  epoch: number
  previous: { number: number; sha256: string } | undefined
  /** Larger than in any claim about this request before. */
  sequence: number
  receipts: readonly Receipt[]
  reservedGPUSeconds: number
  price: LeasePrice | undefined
  /** Milliseconds since 1970. */
  from: number
  until: number
  final: boolean
}

export function makeClaim(claimable: Claimable): UnsignedClaim {
  const { requestId, epoch, previous, sequence, receipts, reservedGPUSeconds, price, from, until, final } = claimable
  return {
    sequence,
    requestId,
    epoch,
    number: (previous?.number ?? 0) + 1,
    ...(previous !== undefined && { previous: previous.sha256 }),
    from: dateTimeOf(from),
    until: dateTimeOf(until),
    root: receiptRoot(receipts.map((receipt) => leafHash(receiptBytes(receipt)))),
    count: receipts.length,
    units: unitsOf(receipts, reservedGPUSeconds),
    ...(price !== undefined && { price }),
    micros: costOf(reservedGPUSeconds, price),
    final,
  }
}

/** The sums of some receipts. */
export function unitsOf(receipts: readonly Receipt[], reservedGPUSeconds: number): Claim['units'] {
  const sum = (of: (receipt: Receipt) => number) => receipts.reduce((total, receipt) => total + of(receipt), 0)
  return {
    requests: receipts.length,
    inputTokens: sum(({ inputTokens }) => inputTokens),
    outputTokens: sum(({ outputTokens }) => outputTokens),
    requestBytes: sum(({ requestBytes }) => requestBytes),
    responseBytes: sum(({ responseBytes }) => responseBytes),
    busyGPUMilliseconds: sum(({ busyGPUMilliseconds }) => busyGPUMilliseconds),
    reservedGPUSeconds,
  }
}

/** Millionths of the currency for GPU seconds, rounded down; nothing where there is no price. */
export function costOf(gpuSeconds: number, price: LeasePrice | undefined): number {
  // The product may be beyond what a number holds exactly.
  return price === undefined ? 0 : Number((BigInt(gpuSeconds) * BigInt(price.microsPerGPUHour)) / 3600n)
}

export function samePrice(a: LeasePrice | undefined, b: LeasePrice | undefined): boolean {
  return a?.currency === b?.currency && a?.microsPerGPUHour === b?.microsPerGPUHour
}
