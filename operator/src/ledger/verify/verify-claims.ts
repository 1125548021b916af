import { parseDateTime } from '../../federation/date-time.ts'
import { claimSchema, messageKinds, settlementSchema } from '../../federation/messages.ts'
import type { Claim } from '../message-types.ts'
import { monthRange } from '../month.ts'
import type { AcrossFiles } from './across-files.ts'
import { ClaimReceipts } from './claim-receipts.ts'
import { type Cluster, type KeysInTime, nameOf } from './keys-in-time.ts'
import { type Opened, openSigned } from './open-signed.ts'
import type { VerifiedSum } from './report.ts'

type Grant = {
  key: string
  last: Opened<Claim>
  lastIndex: number
  seen: { ids: Set<string>; leaves: Set<string> }
}

type Deps = {
  parties: readonly [Cluster, Cluster]
  month: string
  keys: KeysInTime
  across: AcrossFiles
  file: string
  note: (text: string) => void
}

/** Checks the chains of claims of a file: all of a grant stand together, in the order of their numbers. */
export class ClaimsVerifier {
  prunedReceipts = 0
  readonly sums = new Map<string, VerifiedSum>()
  /** All claims of the file, by the SHA-256 of their payload. */
  readonly claims = new Map<string, { what: string; isSettled: boolean }>()
  readonly #deps: Deps
  readonly #finished = new Set<string>()
  #grant: Grant | undefined
  #receipts: ClaimReceipts | undefined
  #state: { state: 'Claimed' | 'Agreed' | 'Disputed'; sequence: number } = { state: 'Claimed', sequence: -1 }

  constructor(deps: Deps) {
    this.#deps = deps
  }

  claim(envelope: string, index: number): string[] {
    const wrong = this.finishClaim()
    const opened = openSigned(envelope, messageKinds.Claim.payloadType, claimSchema)
    if (typeof opened === 'string') return [...wrong, `a claim cannot be read: ${opened}`]
    const { message: claim, issued, payloadSha256 } = opened
    const what = `claim ${claim.number} of ${claim.requestId}/${claim.epoch}`
    const { keys, across, file } = this.#deps
    const add = (problem: string | undefined) => problem !== undefined && wrong.push(`${what}: ${problem}`)
    add(keys.problem(claim.issuer, opened.envelope, issued))
    add(this.#wrongParties(claim.issuer, claim.audience))
    add(this.#wrongTime(claim))
    add(across.problem(`${what} by ${nameOf(claim.issuer)}`, payloadSha256, file))
    add(this.#goOn(opened, index))
    this.#receipts = new ClaimReceipts(claim, this.#grant?.seen ?? { ids: new Set(), leaves: new Set() })
    return wrong
  }

  receipt(line: { body: string } | { hash: string }): string[] {
    const receipts = this.#receipts
    if (receipts === undefined) return ['a receipt comes before any claim, or after a settlement']
    const problem = 'body' in line ? receipts.receipt(line.body) : receipts.leaf(line.hash)
    return problem === undefined ? [] : [problem]
  }

  settlement(envelope: string, index: number): string[] {
    const wrong = this.#finishReceipts()
    const opened = openSigned(envelope, messageKinds.Settlement.payloadType, settlementSchema)
    if (typeof opened === 'string') return [...wrong, `a settlement cannot be read: ${opened}`]
    const grant = this.#grant
    if (grant === undefined) return [...wrong, 'a settlement comes before any claim']
    const { message: settlement, issued } = opened
    const { message: claim, payloadSha256 } = grant.last
    const add = (problem: string | undefined) =>
      problem !== undefined &&
      wrong.push(`settlement of claim ${claim.number} of ${claim.requestId}/${claim.epoch}: ${problem}`)
    add(this.#deps.keys.problem(settlement.issuer, opened.envelope, issued))
    const isOfIt =
      settlement.claimSha256 === payloadSha256 &&
      settlement.number === claim.number &&
      settlement.requestId === claim.requestId &&
      settlement.epoch === claim.epoch
    if (!isOfIt) add('it is about another claim')
    if (nameOf(settlement.issuer) !== nameOf(claim.audience) || nameOf(settlement.audience) !== nameOf(claim.issuer)) {
      add('it is not by the one that the claim is for')
    }
    if (this.#state.state === 'Agreed') add('it comes after the claim was agreed')
    if (settlement.sequence <= this.#state.sequence) add('it is not newer than the one before it')
    if (index <= grant.lastIndex) add('it stands before its claim in the log')
    grant.lastIndex = Math.max(grant.lastIndex, index)
    this.#state = { state: settlement.state, sequence: settlement.sequence }
    return wrong
  }

  /** What is wrong with the claim that ends here; counts it. */
  finishClaim(): string[] {
    const wrong = this.#finishReceipts()
    if (this.#grant !== undefined && !this.#isCounted) this.#count(this.#grant.last)
    this.#isCounted = true
    return wrong
  }

  finish(): string[] {
    const wrong = this.finishClaim()
    this.#endGrant()
    return wrong
  }

  #isCounted = true

  #finishReceipts(): string[] {
    const receipts = this.#receipts
    this.#receipts = undefined
    if (receipts === undefined) return []
    this.prunedReceipts += receipts.pruned
    return receipts.problems()
  }

  #goOn(opened: Opened<Claim>, index: number): string | undefined {
    const { message: claim } = opened
    const key = `${nameOf(claim.issuer)} ${claim.requestId} ${claim.epoch}`
    const before = this.#grant
    this.#state = { state: 'Claimed', sequence: -1 }
    this.#isCounted = false
    if (before?.key !== key) {
      this.#endGrant()
      this.#grant = { key, last: opened, lastIndex: index, seen: { ids: new Set(), leaves: new Set() } }
      if (this.#finished.has(key)) return 'claims of one grant stand apart: reordered'
      if (claim.number === 1) return claim.previous === undefined ? undefined : 'the first claim names one before it'
      this.#deps.note(
        `the claims of ${claim.requestId}/${claim.epoch} begin with number ${claim.number}: those before are in earlier months`,
      )
      return claim.previous === undefined ? 'it does not name the claim before it' : undefined
    }
    const { last, lastIndex, seen } = before
    this.#grant = { key, last: opened, lastIndex: index, seen }
    if (claim.number !== last.message.number + 1) {
      return `it follows claim ${last.message.number}: some are missing, repeated or reordered`
    }
    if (claim.previous !== last.payloadSha256) return 'the chain is broken: it does not go on from the claim before it'
    if (last.message.final) return 'it follows the last claim of the grant'
    const [from, until] = [parseDateTime(claim.from) ?? 0, parseDateTime(last.message.until) ?? 0]
    if (from < until) return 'its time overlaps that of the claim before it'
    return index <= lastIndex ? 'it stands before an earlier one in the log' : undefined
  }

  #endGrant(): void {
    const grant = this.#grant
    this.#grant = undefined
    if (grant === undefined) return
    this.#finished.add(grant.key)
    const { requestId, epoch, number, final } = grant.last.message
    if (!final) {
      this.#deps.note(`claim ${number} of ${requestId}/${epoch} is not its last: later ones may be in later exports`)
    }
  }

  #wrongParties(issuer: Cluster, audience: Cluster): string | undefined {
    const parties = this.#deps.parties.map(nameOf)
    const both = [nameOf(issuer), nameOf(audience)]
    const fits = parties.every((party) => both.includes(party)) && both[0] !== both[1]
    return fits ? undefined : 'it is not between the two owners that the file is about'
  }

  #wrongTime(claim: Claim): string | undefined {
    const [from, until] = [parseDateTime(claim.from), parseDateTime(claim.until)]
    if (from === undefined || until === undefined || until < from)
      return 'its times are no times, or end before they begin'
    const range = monthRange(this.#deps.month)
    const isIn = range !== undefined && until >= range.from && until < range.until
    return isIn ? undefined : `it is not of ${this.#deps.month}`
  }

  #count({ message: claim, payloadSha256 }: Opened<Claim>): void {
    const what = `claim ${claim.number} of ${claim.requestId}/${claim.epoch}`
    this.claims.set(payloadSha256, { what, isSettled: this.#state.state !== 'Claimed' })
    const [executor, requester] = [nameOf(claim.issuer), nameOf(claim.audience)]
    const currency = claim.price?.currency ?? ''
    const key = `${executor} ${requester} ${currency}`
    const none = { claims: 0, agreed: 0, disputed: 0, requests: 0, reservedGPUSeconds: 0, micros: 0, agreedMicros: 0 }
    const sum = this.sums.get(key) ?? { file: this.#deps.file, executor, requester, currency, ...none }
    const { state } = this.#state
    this.sums.set(key, {
      ...sum,
      claims: sum.claims + 1,
      agreed: sum.agreed + (state === 'Agreed' ? 1 : 0),
      disputed: sum.disputed + (state === 'Disputed' ? 1 : 0),
      requests: sum.requests + claim.units.requests,
      reservedGPUSeconds: sum.reservedGPUSeconds + claim.units.reservedGPUSeconds,
      micros: sum.micros + claim.micros,
      agreedMicros: sum.agreedMicros + (state === 'Agreed' ? claim.micros : 0),
    })
  }
}
