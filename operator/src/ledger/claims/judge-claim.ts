import type { LeasePrice } from '../../api/owner-scalars.ts'
import { parseDateTime } from '../../federation/date-time.ts'
import type { MessageOf } from '../../federation/messages.ts'
import { leafHash, type Receipt, receiptBytes } from '../receipt.ts'
import type { Grant, Observation } from '../store/store.ts'
import { judgeReceipt } from './judge-receipt.ts'
import { type Claim, costOf, samePrice, unitsOf } from './make-claim.ts'
import { receiptRoot } from './receipt-root.ts'

/** What we asked for and were granted, as we know it. */
export type Terms = { price: LeasePrice | undefined; asked: NonNullable<Grant['asked']> | undefined }

/** Of a request what our gateways wrote; `seen` is missing where one died before the answer ended. */
export type Known = { sent: NonNullable<Observation['sent']>; seen: Observation['seen'] | undefined }

export type Dispute = MessageOf<'Settlement'>['disputes'][number]

export type Judging = {
  claim: Claim
  /** The claim of this grant and epoch that we settled last. */
  previous: { number: number; sha256: string; until: string } | undefined
  /** Undefined: we know of no such grant. */
  terms: Terms | undefined
  /** The receipts of the claim; undefined where the executor did not show them. */
  receipts: readonly Receipt[] | undefined
  knownOf: (id: string) => Known | undefined
  /** Whether a receipt of that id was in an earlier claim. */
  wasClaimed: (id: string) => boolean
  /** GPU seconds of the claims before. */
  gpuSecondsBefore: number
  now: number
}

/** Pods start before we hear of the grant, and are counted by a clock that is not ours. */
const slackSeconds = 120
const maxDisputes = 64
const nothingAsked = { replicas: 0, gpusPerWorker: 0, drainSeconds: 0, since: 0 }

/** Everything that is wrong with a claim; nothing: it is agreed. */
export function judgeClaim(judging: Judging): Dispute[] {
  const { claim, terms, receipts } = judging
  const disputes: Dispute[] = [...wrongChain(judging)]
  if (terms === undefined) disputes.push({ reason: 'GrantUnknown', message: 'we know of no such grant' })
  else disputes.push(...wrongTerms(judging, terms))
  if (receipts === undefined) {
    disputes.push({ reason: 'ReceiptsMissing', message: 'the receipts of the claim were not shown' })
    return disputes.slice(0, maxDisputes)
  }
  disputes.push(...wrongSums(claim, receipts))
  const ids = new Set<string>()
  for (const receipt of receipts) {
    const isReplayed = ids.has(receipt.id) || judging.wasClaimed(receipt.id)
    ids.add(receipt.id)
    disputes.push(...judgeReceipt(receipt, { claim, terms, known: judging.knownOf(receipt.id), isReplayed }))
    if (disputes.length >= maxDisputes) break
  }
  return disputes.slice(0, maxDisputes)
}

function wrongChain({ claim, previous }: Judging): Dispute[] {
  const wrong: Dispute[] = []
  const number = (previous?.number ?? 0) + 1
  if (claim.number !== number || claim.previous !== previous?.sha256) {
    wrong.push({
      reason: 'ChainBroken',
      message: `it is number ${claim.number}; number ${number} follows what was settled`,
    })
  }
  const [from, until] = [parseDateTime(claim.from), parseDateTime(claim.until)]
  const before = previous === undefined ? undefined : parseDateTime(previous.until)
  if (from === undefined || until === undefined || until < from || (before !== undefined && from < before)) {
    wrong.push({
      reason: 'TimesWrong',
      message: `from ${claim.from} until ${claim.until} does not follow the claim before`,
    })
  }
  return wrong
}

function wrongTerms({ claim, gpuSecondsBefore, now }: Judging, terms: Terms): Dispute[] {
  const wrong: Dispute[] = []
  if (!samePrice(claim.price, terms.price)) {
    wrong.push({
      reason: 'PriceNotGranted',
      message: `it counts ${priceText(claim.price)}; granted was ${priceText(terms.price)}`,
    })
  }
  const { replicas, gpusPerWorker, drainSeconds, since } = terms.asked ?? nothingAsked
  const seconds = Math.max(0, now - since) / 1000 + slackSeconds + drainSeconds
  const most = Math.ceil(replicas * gpusPerWorker * seconds)
  const all = gpuSecondsBefore + claim.units.reservedGPUSeconds
  if (all > most) {
    wrong.push({
      reason: 'TooManyGPUSeconds',
      message: `it makes ${all} GPU seconds; the grant allows for ${most} until now`,
    })
  }
  return wrong
}

function wrongSums(claim: Claim, receipts: readonly Receipt[]): Dispute[] {
  const wrong: Dispute[] = []
  const root = receiptRoot(receipts.map((receipt) => leafHash(receiptBytes(receipt))))
  if (root !== claim.root) wrong.push({ reason: 'RootWrong', message: `the receipts have the root ${root}` })
  if (receipts.length !== claim.count) {
    wrong.push({ reason: 'SumsWrong', message: `count is ${claim.count}; there are ${receipts.length} receipts` })
  }
  const { reservedGPUSeconds } = claim.units
  for (const [unit, sum] of Object.entries(unitsOf(receipts, reservedGPUSeconds))) {
    const claimed = claim.units[unit as keyof Claim['units']] // unitsOf gives exactly these keys
    if (claimed !== sum) wrong.push({ reason: 'SumsWrong', message: `${unit} is ${claimed}; the receipts make ${sum}` })
  }
  const micros = costOf(reservedGPUSeconds, claim.price)
  if (claim.micros !== micros) {
    wrong.push({
      reason: 'SumsWrong',
      message: `micros is ${claim.micros}; ${reservedGPUSeconds} GPU seconds make ${micros}`,
    })
  }
  return wrong
}

function priceText(price: LeasePrice | undefined): string {
  return price === undefined ? 'no price' : `${price.microsPerGPUHour} micros ${price.currency} a GPU hour`
}
