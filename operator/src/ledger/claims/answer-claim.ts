import { openMessage } from '../../federation/open-message.ts'
import { Refusal } from '../../identity/refusal.ts'
import { HansaError, messageOf } from '../../process/errors.ts'
import type { KnownPeer, LedgerDeps } from '../deps.ts'
import type { Claim } from '../message-types.ts'
import type { Answer } from '../peers/wire.ts'
import type { Receipt } from '../receipt.ts'
import { leafHash, receiptBytes } from '../receipt.ts'
import { readSigned } from '../signed.ts'
import type { GrantKey, KeptReceipt, Signed } from '../store/store.ts'
import { judgeClaim, type Known } from './judge-claim.ts'
import { maxClaimReceipts } from './make-claim.ts'
import { receiptRoot } from './receipt-root.ts'

const maxWaiting = 1000
const idsAtOnce = 1000

/** Claims of peers: answers what was settled, settles what can be, and waits with the rest while that is of use. */
export type ClaimJudge = { take(known: KnownPeer, envelope: string): Promise<Answer> }

type Waiting = { since: number; judging: boolean }

export function claimJudge(deps: LedgerDeps): ClaimJudge {
  const { store, clock, log, metrics, times } = deps
  /** When claims without a verdict were heard first; the peer repeats them, so nothing of this must last. */
  const waiting = new Map<string, Waiting>()

  async function take(known: KnownPeer, envelope: string): Promise<Answer> {
    const { peer, ownBundle, name } = known
    const opened = openMessage('Claim', envelope, { peer, ownBundle, now: clock.now() })
    if (!opened.ok) throw new Refusal(400, opened.problem.reason, opened.problem.message)
    const { message, payloadSha256 } = opened
    const key: GrantKey = { side: 'Requester', peer: name, requestId: message.requestId, epoch: message.epoch }
    const kept = await store.claim(key, message.number)
    if (kept?.settlement !== undefined && kept.payloadSha256 === payloadSha256) {
      return { kind: 'Settlement', envelope: kept.settlement.envelope }
    }
    const id = `${name} ${payloadSha256}`
    const entry = waiting.get(id) ?? { since: clock.monotonic(), judging: false }
    if (entry.judging) return { kind: 'Pending' }
    if (waiting.size >= maxWaiting && !waiting.has(id)) {
      throw new Refusal(429, 'TooManyRequests', 'too many claims wait for a verdict, try again later')
    }
    waiting.set(id, { ...entry, judging: true })
    try {
      const mayWait = clock.monotonic() - entry.since < times.settleWaitMilliseconds
      const settled = await settle(known, key, { message, envelope, payloadSha256 }, mayWait)
      if (settled === undefined) {
        waiting.set(id, { ...entry, judging: false })
        return { kind: 'Pending' }
      }
      waiting.delete(id)
      return { kind: 'Settlement', envelope: settled }
    } catch (error) {
      waiting.set(id, { ...entry, judging: false })
      metrics.failed('settle')
      log.warn(
        { peer: name, ...brief(message), error: messageOf(error) },
        'a claim could not be settled; it is repeated',
      )
      return { kind: 'Pending' }
    }
  }

  /** The signed verdict; undefined while something is missing that may still come. */
  async function settle(
    { name, identity }: KnownPeer,
    key: GrantKey,
    claim: Signed<Claim>,
    mayWait: boolean,
  ): Promise<string | undefined> {
    const { message } = claim
    const grant = await store.grant(key)
    if (grant === undefined && mayWait) return undefined
    const shown = await receiptsOf(name, key, message, mayWait)
    if (shown === undefined && mayWait) return undefined
    const known = await observed(key, shown ?? [])
    const isComplete = (shown ?? []).every(({ id }) => known.get(id)?.seen !== undefined)
    if (!isComplete && mayWait) return undefined
    const [last, totals, again] = [
      await store.lastClaim(key),
      await store.claimedTotals(key),
      await claimedBefore(key, message, shown),
    ]
    // A claim that was kept before a crash, and has no verdict yet, is not its own predecessor.
    const isKept = last !== undefined && last.payloadSha256 === claim.payloadSha256
    const before = isKept ? (last.number === 1 ? undefined : await store.claim(key, last.number - 1)) : last
    // One before it is still being judged: a verdict now would be about a gap that is none.
    if (mayWait && message.number > (before?.number ?? 0) + 1) return undefined
    const disputes = judgeClaim({
      claim: message,
      previous: before && { number: before.number, sha256: before.payloadSha256, until: before.claim.until },
      terms: grant && { price: grant.price, asked: grant.asked },
      receipts: shown,
      knownOf: (id) => known.get(id),
      wasClaimed: (id) => again.has(id),
      gpuSecondsBefore: totals.reservedGPUSeconds - (isKept ? message.units.reservedGPUSeconds : 0),
      now: clock.now(),
    })
    const state = disputes.length === 0 ? 'Agreed' : 'Disputed'
    const { requestId, epoch, number, sequence } = message
    const said = { sequence, requestId, epoch, number, claimSha256: claim.payloadSha256, state, disputes } as const
    const envelope = await deps.sign(identity, { kind: 'Settlement', peer: name, message: said }, deps.signal)
    await keep(key, identity, claim, shown ?? [], envelope)
    metrics.settled(name, 'Requester', state)
    const reasons = disputes.map(({ reason }) => reason).slice(0, 8)
    log[state === 'Agreed' ? 'info' : 'warn'](
      { peer: name, ...brief(message), state, disputes: reasons },
      'claim judged',
    )
    return envelope
  }

  async function keep(
    key: GrantKey,
    identity: string,
    claim: Signed<Claim>,
    shown: readonly Receipt[],
    envelope: string,
  ) {
    const now = clock.now()
    try {
      const leaves = shown.map((receipt) => leafHash(receiptBytes(receipt)))
      await store.saveClaim(key, identity, claim, leaves, now)
      await store.saveSettlement(key, identity, readSigned('Settlement', envelope), now)
    } catch (error) {
      // A claim that does not fit behind the one before has no place in the books; the dispute is said all the same.
      if (!(error instanceof HansaError) || error.reason !== 'LedgerConflict') throw error
      log.warn({ peer: key.peer, ...brief(claim.message), error: error.message }, 'a claim does not fit into the books')
    }
  }

  /** The receipts of a claim: ours, if they make its root, else those that the peer shows; undefined where it does not. */
  async function receiptsOf(
    peerName: string,
    key: GrantKey,
    claim: Claim,
    mayWait: boolean,
  ): Promise<readonly Receipt[] | undefined> {
    const own = await store.claimable(key, maxClaimReceipts)
    const matching = own.filter(({ receipt }) => receipt !== undefined)
    if (matching.length === claim.count && receiptRoot(matching.map(({ leaf }) => leaf)) === claim.root) {
      return matching.flatMap(({ receipt }) => receipt ?? [])
    }
    try {
      const shown = await ask(peerName, claim)
      await store.saveReceipts(key, shown, clock.now())
      return shown
    } catch (error) {
      if (mayWait) throw error
      log.warn({ peer: peerName, ...brief(claim), error: messageOf(error) }, 'the receipts of a claim are not shown')
      return undefined
    }
  }

  async function ask(peerName: string, { requestId, epoch, number, count }: Claim): Promise<Receipt[]> {
    const shown: Receipt[] = []
    let after: string | undefined
    // One more than a claim may have shows that there are more.
    while (shown.length <= Math.min(count, maxClaimReceipts)) {
      const question = { kind: 'Receipts', requestId, epoch, number, ...(after !== undefined && { after }) } as const
      const answer = await deps.ask(peerName, question, deps.signal)
      if (answer.kind !== 'Receipts') throw new HansaError('AnswerMalformed', 'the peer shows no receipts')
      shown.push(...answer.receipts)
      if (answer.next === undefined || answer.receipts.length === 0) return shown
      after = answer.next
    }
    return shown
  }

  async function observed(key: GrantKey, receipts: readonly Receipt[]): Promise<Map<string, Known>> {
    const known = new Map<string, Known>()
    for (let i = 0; i < receipts.length; i += idsAtOnce) {
      const ids = receipts.slice(i, i + idsAtOnce).map(({ id }) => id)
      for (const { id, sent, seen } of await store.observations(key, ids)) {
        if (sent !== undefined) known.set(id, { sent, seen })
      }
    }
    return known
  }

  /** Of the receipts of a claim, ids that an earlier claim had. */
  async function claimedBefore(key: GrantKey, claim: Claim, shown: readonly Receipt[] = []): Promise<Set<string>> {
    const free = new Set((await store.claimable(key, 2 * maxClaimReceipts)).map(({ id }) => id))
    const own = await ofClaim(key, claim.number)
    return new Set(shown.flatMap(({ id }) => (free.has(id) || own.has(id) ? [] : [id])))
  }

  async function ofClaim(key: GrantKey, number: number): Promise<Set<string>> {
    const ids = new Set<string>()
    let after: string | undefined
    for (;;) {
      const page: KeptReceipt[] = await store.receiptsOfClaim(key, number, after, idsAtOnce)
      for (const { id } of page) ids.add(id)
      after = page.at(-1)?.leaf
      if (page.length < idsAtOnce) return ids
    }
  }

  return { take }
}

function brief({ requestId, epoch, number }: Claim) {
  return { requestId, epoch, number }
}
