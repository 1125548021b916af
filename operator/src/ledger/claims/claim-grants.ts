import { parseDateTime } from '../../federation/date-time.ts'
import { openMessage } from '../../federation/open-message.ts'
import { messageOf } from '../../process/errors.ts'
import type { LedgerDeps } from '../deps.ts'
import { readSigned } from '../signed.ts'
import type { Grant, GrantKey, KeptClaim } from '../store/store.ts'
import type { RestoreGate } from '../witness/restore-gate.ts'
import { allGrants } from './all-grants.ts'
import { isBeyond } from './caps.ts'
import { makeClaim, maxClaimReceipts } from './make-claim.ts'

const claimsPerRound = 1000
/** What came after a grant's end still counts; a claim is its last when nothing can come any more. */
const finalAfterMilliseconds = 120_000

/** Makes a claim of every grant of ours with something to claim. One that fails is tried again the next time, and holds up no other. */
export async function claimGrants(deps: LedgerDeps, gate: Pick<RestoreGate, 'isOpen'>): Promise<void> {
  for await (const grant of allGrants(deps.store, 'Executor')) {
    if (deps.signal.aborted) return
    if (!gate.isOpen(grant.identity)) continue
    try {
      while (await claimGrant(grant, deps)) {
        // More receipts than one claim has room for.
      }
    } catch (error) {
      deps.metrics.failed('claim')
      const { peer, requestId, epoch } = grant
      deps.log.warn({ peer, requestId, epoch, error: messageOf(error) }, 'a claim could not be made')
    }
  }
}

/** Says whether there is more to claim at once. */
async function claimGrant(grant: Grant, deps: LedgerDeps): Promise<boolean> {
  const { store, clock, sign, signal, log, metrics } = deps
  const [kept, totals] = [await store.claimable(grant, maxClaimReceipts), await store.claimedTotals(grant)]
  const reserved = Math.max(0, grant.reservedGPUSeconds - totals.reservedGPUSeconds)
  if (kept.length === 0 && reserved === 0) return false
  const receipts = kept.flatMap(({ receipt }) => receipt ?? [])
  const last = await store.lastClaim(grant)
  const now = clock.now()
  const ended = receipts.map((receipt) => parseDateTime(receipt.ended) ?? now)
  const from = last === undefined ? Math.min(now, ...ended.slice(0, 1000)) : (parseDateTime(last.claim.until) ?? now)
  const message = makeClaim({
    requestId: grant.requestId,
    epoch: grant.epoch,
    previous: last === undefined ? undefined : { number: last.number, sha256: last.payloadSha256 },
    sequence: Math.max(now, (last?.claim.sequence ?? 0) + 1),
    receipts,
    reservedGPUSeconds: reserved,
    price: grant.price,
    from,
    // A clock that was set back does not make a claim end before it begins.
    until: Math.max(now, from),
    final: grant.endedAt !== undefined && now - grant.endedAt > finalAfterMilliseconds,
  })
  const envelope = await sign(grant.identity, { kind: 'Claim', peer: grant.peer, message }, signal)
  const signed = readSigned('Claim', envelope)
  await store.saveClaim(
    grant,
    grant.identity,
    signed,
    kept.map(({ leaf }) => leaf),
    now,
  )
  metrics.claimed(grant.peer)
  const { peer, requestId, epoch } = grant
  log.info({ peer, requestId, epoch, number: message.number, receipts: receipts.length, reserved }, 'claim made')
  return kept.length === maxClaimReceipts
}

/**
 * Says every claim that is not answered to its peer, oldest first; a peer that cannot be reached waits for the next round. Disputed ones are
 * said again more rarely: the peer may have taken the dispute back.
 */
export async function deliverClaims(deps: LedgerDeps, state: 'Claimed' | 'Disputed' = 'Claimed'): Promise<void> {
  const open = await deps.store.claims({ side: 'Executor', state, limit: claimsPerRound })
  if (state === 'Claimed') deps.metrics.set('open', open.length)
  const byPeer = Map.groupBy(open, ({ peer }) => peer)
  await Promise.all([...byPeer].map(([peerName, claims]) => deliverTo(peerName, claims, deps)))
}

async function deliverTo(peerName: string, claims: readonly KeptClaim[], deps: LedgerDeps): Promise<void> {
  const pending = new Set<string>()
  for (const claim of claims) {
    const grant = `${claim.requestId}/${claim.epoch}`
    // What follows a claim without a verdict cannot have one either.
    if (pending.has(grant)) continue
    try {
      const answer = await deliver(peerName, claim, deps)
      if (answer === 'Pending') pending.add(grant)
    } catch (error) {
      deps.metrics.failed('deliver')
      const { requestId, epoch, number } = claim
      deps.log.debug({ peer: peerName, requestId, epoch, number, error: messageOf(error) }, 'a claim is not answered')
      return
    }
  }
}

async function deliver(peerName: string, kept: KeptClaim, deps: LedgerDeps): Promise<'Pending' | undefined> {
  const { store, clock, ask, log, metrics, signal } = deps
  const answer = await ask(peerName, { kind: 'Claim', envelope: kept.envelope }, signal)
  if (answer.kind === 'Pending') return 'Pending'
  if (answer.kind !== 'Settlement' || answer.envelope === kept.settlement?.envelope) return undefined
  const known = deps.peers.get(peerName)
  if (known === undefined) return undefined
  const { peer, ownBundle, identity } = known
  const now = clock.now()
  const opened = openMessage('Settlement', answer.envelope, { peer, ownBundle, now })
  const { requestId, epoch, number } = kept
  if (!opened.ok) {
    log.warn({ peer: peerName, requestId, epoch, number, reason: opened.problem.reason }, opened.problem.message)
    metrics.failed('settlement')
    return undefined
  }
  const { message, payloadSha256 } = opened
  const isAbout =
    message.requestId === requestId &&
    message.epoch === epoch &&
    message.number === number &&
    message.claimSha256 === kept.payloadSha256
  if (!isAbout) {
    log.warn({ peer: peerName, requestId, epoch, number }, 'a settlement is about another claim')
    metrics.failed('settlement')
    return undefined
  }
  await store.saveSettlement(kept, identity, { message, envelope: answer.envelope, payloadSha256 }, now)
  metrics.settled(peerName, 'Executor', message.state)
  const level = message.state === 'Agreed' ? 'info' : 'warn'
  const disputes = message.disputes.map(({ reason }) => reason).slice(0, 8)
  log[level]({ peer: peerName, requestId, epoch, number, state: message.state, disputes }, 'claim settled')
  return undefined
}

/** Grants of ours under which nothing may be served until more is agreed. */
export async function stoppedGrants(deps: LedgerDeps): Promise<Omit<GrantKey, 'side'>[]> {
  const stopped: Omit<GrantKey, 'side'>[] = []
  for await (const grant of allGrants(deps.store, 'Executor')) {
    if (grant.endedAt !== undefined) continue
    const { peer, requestId, epoch } = grant
    if (isBeyond(await deps.store.notAgreed(grant), deps.caps)) stopped.push({ peer, requestId, epoch })
  }
  deps.metrics.set('stopped', stopped.length)
  return stopped
}
