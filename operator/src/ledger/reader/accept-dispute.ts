import { Refusal } from '../../identity/refusal.ts'
import type { LedgerDeps } from '../deps.ts'
import { readSigned } from '../signed.ts'
import type { GrantKey, KeptClaim } from '../store/store.ts'

/**
 * The requester's admin takes a dispute back: a new settlement Agreed of the same claim. The executor gets it when it asks about the claim
 * the next time.
 */
export async function acceptDispute(
  deps: Pick<LedgerDeps, 'store' | 'sign' | 'clock'>,
  key: Omit<GrantKey, 'side'> & { number: number },
  signal: AbortSignal,
): Promise<KeptClaim> {
  const { store, sign, clock } = deps
  const grant: GrantKey = { side: 'Requester', peer: key.peer, requestId: key.requestId, epoch: key.epoch }
  const claim = await store.claim(grant, key.number)
  if (claim === undefined) throw new Refusal(404, 'NotFound', 'there is no such claim that a peer made to us')
  if (claim.state !== 'Disputed') throw new Refusal(409, 'NotDisputed', `the claim is ${claim.state}, not Disputed`)
  const identity = (await store.grant(grant))?.identity
  if (identity === undefined)
    throw new Refusal(409, 'GrantUnknown', 'we know of no such grant, so that nothing is owed')
  const { requestId, epoch, number } = claim
  const said = await store.settlements(grant, number)
  const sequence = Math.max(clock.now(), ...said.map(({ settlement }) => settlement.sequence + 1))
  const message = {
    sequence,
    requestId,
    epoch,
    number,
    claimSha256: claim.payloadSha256,
    state: 'Agreed',
    disputes: [],
  } as const
  const envelope = await sign(
    identity,
    { kind: 'Settlement', peer: key.peer, message: { ...message, disputes: [] } },
    signal,
  )
  return store.saveSettlement(grant, identity, readSigned('Settlement', envelope), clock.now())
}
