import { Refusal } from '../identity/refusal.ts'
import { tokenBuckets } from '../identity/token-buckets.ts'
import { claimJudge } from './claims/answer-claim.ts'
import type { LedgerDeps } from './deps.ts'
import { type Answer, type Question, questionSchema, receiptsPerPage } from './peers/wire.ts'
import type { GrantKey } from './store/store.ts'
import { answerCheckpoint } from './witness/answer-checkpoint.ts'
import type { RestoreGate } from './witness/restore-gate.ts'

/**
 * Answers questions of ledgers of peers. The peer's name is the gateway's word; everything else stands in signed envelopes. Old books that
 * were put back would sign something else than those before: nothing is signed before witnesses were heard.
 */
export function peerAnswers(
  deps: LedgerDeps,
  gate: Pick<RestoreGate, 'isOpen'>,
): (peerName: string, body: unknown) => Promise<Answer> {
  const { store, peers, clock } = deps
  const judge = claimJudge(deps)
  const questions = tokenBuckets({ burst: 200, perSecond: 20, maxKeys: 10_000, clock: () => clock.monotonic() })
  const witnessing = new Map<string, Promise<unknown>>()

  /** One checkpoint of a peer at a time, so that two cannot both go on from the same one. */
  async function oneByOne<T>(peerName: string, act: () => Promise<T>): Promise<T> {
    const before = witnessing.get(peerName) ?? Promise.resolve()
    const next = before.then(act, act)
    const settled = next.catch(() => undefined)
    witnessing.set(peerName, settled)
    try {
      return await next
    } finally {
      if (witnessing.get(peerName) === settled) witnessing.delete(peerName)
    }
  }

  async function receipts(peerName: string, question: Extract<Question, { kind: 'Receipts' }>): Promise<Answer> {
    const { requestId, epoch, number, after } = question
    const key: GrantKey = { side: 'Executor', peer: peerName, requestId, epoch }
    const page = await store.receiptsOfClaim(key, number, after, receiptsPerPage)
    const shown = page.flatMap(({ receipt }) => receipt ?? [])
    if (shown.length < page.length)
      throw new Refusal(410, 'ReceiptsPruned', 'the receipts of this claim are not kept any more')
    const next = page.length === receiptsPerPage ? page.at(-1)?.leaf : undefined
    return { kind: 'Receipts', receipts: shown, ...(next !== undefined && { next }) }
  }

  return async (peerName, body) => {
    const known = peers.get(peerName)
    if (known === undefined)
      throw new Refusal(403, 'PeerNotReady', `there is no Peer ${peerName} that can be dealt with now`)
    if (questions.take(peerName) > 0) throw new Refusal(429, 'TooManyRequests', 'too many messages, try again later')
    const { data: question } = questionSchema.safeParse(body)
    if (question === undefined) throw new Refusal(400, 'RequestInvalid', 'the body is no message between ledgers')
    switch (question.kind) {
      case 'Claim':
        return gate.isOpen(known.identity) ? judge.take(known, question.envelope) : { kind: 'Pending' }
      case 'Receipts':
        return receipts(peerName, question)
      case 'Checkpoint':
        if (!gate.isOpen(known.identity)) throw new Refusal(503, 'LedgerHalted', 'our witnesses were not heard yet')
        return oneByOne(peerName, () => answerCheckpoint(known, question, deps))
      case 'Head': {
        const seen = await store.witnessed(peerName)
        return { kind: 'Seen', ...(seen !== undefined && { envelope: seen.envelope }) }
      }
    }
  }
}
