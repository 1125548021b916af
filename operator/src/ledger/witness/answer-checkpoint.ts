import { bundleOfPeer } from '../../federation/peer-bundle.ts'
import { Refusal } from '../../identity/refusal.ts'
import type { KnownPeer, LedgerDeps } from '../deps.ts'
import { isConsistent } from '../log/verify.ts'
import type { Answer, Question } from '../peers/wire.ts'
import { openCheckpoint } from './open-checkpoint.ts'

/**
 * Witnesses a checkpoint of a peer: it must go on from the highest one that we saw. Kept before it is signed, so that we never cosign
 * two logs. One that does not go on is a fork: refused, counted and logged, until people have found out why.
 */
export async function answerCheckpoint(
  { name, peer, identity }: KnownPeer,
  { envelope, from, proof }: Extract<Question, { kind: 'Checkpoint' }>,
  deps: LedgerDeps,
): Promise<Answer> {
  const { store, clock, log, metrics } = deps
  const bundle = bundleOfPeer(peer, { now: clock.now() })
  if (!bundle.ok) throw new Refusal(403, 'PeerNotReady', bundle.problem.message)
  const opened = openCheckpoint(envelope, bundle.bundle)
  if (!opened.ok) throw new Refusal(400, 'CheckpointRefused', opened.message)
  const { checkpoint } = opened
  const { size, root } = checkpoint
  const seen = await store.witnessed(name)
  const before = seen?.checkpoint
  const isSame = before?.size === size && before.root === root
  if (!isSame && before !== undefined && size > before.size && from !== before.size) {
    return { kind: 'Seen', envelope: seen?.envelope }
  }
  const goesOn =
    isSame ||
    before === undefined ||
    (size > before.size && isConsistent({ from, fromRoot: before.root, to: size, toRoot: root, proof }))
  if (!goesOn) {
    metrics.forked(name)
    const sizes = { seen: before.size, said: size }
    log.error(
      { peer: name, ...sizes, seenRoot: before.root, saidRoot: root },
      'a checkpoint of a peer does not go on from the one that we saw: its log was changed, or it shows others another one; ask its people, and keep our books as evidence',
    )
    const message = `its checkpoint of ${size} entries does not go on from the one of ${before.size} that we saw`
    await store.saveEvent({ at: clock.now(), type: 'Refused', peer: name, reason: 'LogForked', message })
    return { kind: 'Seen', envelope: seen?.envelope }
  }
  if (!isSame) await store.saveWitnessed(name, { checkpoint, envelope })
  const message = { sequence: size, log: checkpoint.issuer, size, root }
  return {
    kind: 'Cosignature',
    envelope: await deps.sign(identity, { kind: 'Cosignature', peer: name, message }, deps.signal),
  }
}
