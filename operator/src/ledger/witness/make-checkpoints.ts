import { openMessage } from '../../federation/open-message.ts'
import { HansaError, messageOf } from '../../process/errors.ts'
import type { KnownPeer, LedgerDeps } from '../deps.ts'
import type { KeptCheckpoint } from '../store/store.ts'
import { openCheckpoint } from './open-checkpoint.ts'
import type { RestoreGate } from './restore-gate.ts'

/** Makes a checkpoint of each of our logs that has grown, and has all peers cosign the newest one. */
export async function makeCheckpoints(deps: LedgerDeps, gate: RestoreGate): Promise<void> {
  for (const identity of new Set(deps.peers.list().map((each) => each.identity))) {
    if (!gate.isOpen(identity)) continue
    const newest = await newestCheckpoint(identity, deps)
    if (newest === undefined) continue
    const peers = deps.peers.list().filter((each) => each.identity === identity)
    await Promise.all(peers.map((peer) => cosignedBy(peer, newest, deps, gate)))
  }
}

async function newestCheckpoint(identity: string, deps: LedgerDeps): Promise<KeptCheckpoint | undefined> {
  const { store, sign, signal, peers } = deps
  const [{ size, root }, last] = [await store.head(identity), await store.lastCheckpoint(identity)]
  if (size === 0 || last?.checkpoint.size === size) return last
  const ownBundle = peers.list().find((each) => each.identity === identity)?.ownBundle
  if (ownBundle === undefined) return undefined
  const envelope = await sign(identity, { kind: 'Checkpoint', message: { size, root } }, signal)
  const opened = openCheckpoint(envelope, ownBundle)
  // Our own bundle may be a moment older than the key.
  if (!opened.ok) throw new HansaError('SignatureUnusable', `a checkpoint of ours cannot be opened: ${opened.message}`)
  const made = { checkpoint: opened.checkpoint, envelope }
  await store.saveCheckpoint(identity, made)
  return made
}

async function cosignedBy(
  known: KnownPeer,
  newest: KeptCheckpoint,
  deps: LedgerDeps,
  gate: RestoreGate,
): Promise<void> {
  const { store, ask, log, metrics, signal } = deps
  const { identity, name } = known
  const { size, root } = newest.checkpoint
  try {
    const done = await store.cosignatures(identity, size)
    if (done.some(({ witness }) => witness === name)) return
    const head = await ask(name, { kind: 'Head' }, signal)
    const seen =
      head.kind === 'Seen' && head.envelope !== undefined ? openCheckpoint(head.envelope, known.ownBundle) : undefined
    if (seen?.ok === false)
      throw new HansaError('AnswerMalformed', `it shows a checkpoint that is not ours: ${seen.message}`)
    const before = seen?.checkpoint
    if (
      before !== undefined &&
      !(await gate.confirm(identity, { witness: name, size: before.size, root: before.root }))
    )
      return
    const from = before?.size ?? 0
    if (from > size) return
    const proof = from === size ? [] : await store.consistencyProof(identity, from, size)
    const answer = await ask(name, { kind: 'Checkpoint', envelope: newest.envelope, from, proof }, signal)
    if (answer.kind !== 'Cosignature') throw new HansaError('CosignatureRefused', 'it does not cosign our checkpoint')
    const opened = openMessage('Cosignature', answer.envelope, { ...known, now: deps.clock.now() })
    if (!opened.ok) throw new HansaError('AnswerMalformed', opened.problem.message)
    const { message } = opened
    const isOurs =
      message.log.trustDomain === known.ownBundle.trustDomain && message.log.clusterName === known.ownBundle.clusterName
    if (!isOurs || message.size !== size || message.root !== root) {
      throw new HansaError('AnswerMalformed', 'it cosigned something else')
    }
    await store.saveCosignature(identity, { witness: name, cosignature: message, envelope: answer.envelope })
    metrics.cosigned(name)
  } catch (error) {
    metrics.failed('cosign')
    log.debug({ peer: name, size, error: messageOf(error) }, 'a checkpoint is not cosigned')
  }
}
