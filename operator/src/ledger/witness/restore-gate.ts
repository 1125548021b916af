import { messageOf } from '../../process/errors.ts'
import type { KnownPeer, LedgerDeps } from '../deps.ts'
import { type RestoreProblem, restoreProblem, type WitnessedHead } from '../restore-problem.ts'
import { openCheckpoint } from './open-checkpoint.ts'

/**
 * Keeps a ledger from going on with an old log. Before anything is signed for an Identity its peers are asked which checkpoint of ours
 * they saw last: all that answer within the waiting time, one at least. Without a witness there is nobody to whom anything could be
 * said either. What they saw must be in our log.
 */
export type RestoreGate = {
  /** Whether claims and checkpoints may be signed in the name of an Identity. */
  isOpen(identity: string): boolean
  /** What is wrong with the log of an Identity, for people. */
  problem(): string | undefined
  /**
   * Why nothing may be taken from gateways: also before witnesses were heard, since what old books took would be missing in newer ones that
   * are put in their place. Without an answer it ends with the waiting time, unless the books are suspected.
   */
  holds(): string | undefined
  /** Takes what a witness saw; false when our log has not got there. */
  confirm(identity: string, head: WitnessedHead): Promise<boolean>
  /** Asks witnesses of Identities that are not open yet. */
  ask(): Promise<void>
  /** Gateways know of records that our books have not: the books are old, and every witness must be heard. */
  suspect(why: string): void
}

type Standing = { since: number; answered: Set<string>; open: boolean; problem: RestoreProblem | undefined }

export function restoreGate(deps: LedgerDeps): RestoreGate {
  const { store, peers, clock, log, metrics, times } = deps
  const standings = new Map<string, Standing>()
  const began = clock.monotonic()
  let suspected: string | undefined

  const standingOf = (identity: string): Standing => {
    const known = standings.get(identity)
    if (known !== undefined) return known
    const made: Standing = { since: clock.monotonic(), answered: new Set(), open: false, problem: undefined }
    standings.set(identity, made)
    return made
  }

  function halted(): void {
    const problems = [...standings.values()].filter(({ problem }) => problem !== undefined)
    metrics.set('halted', problems.length === 0 ? 0 : 1)
  }

  async function confirm(identity: string, head: WitnessedHead): Promise<boolean> {
    const standing = standingOf(identity)
    const { size } = await store.head(identity)
    const local = { size, rootAt: (at: number) => store.rootAt(identity, at) }
    const problem = await restoreProblem(local, [head])
    if (problem === undefined) return true
    if (standing.problem === undefined) {
      log.error(
        { identity, witness: head.witness, reason: problem.reason, size },
        `the ledger does not go on: ${problem.message}`,
      )
      await store.saveEvent({
        at: clock.now(),
        type: 'Refused',
        peer: head.witness,
        reason: `Log${problem.reason}`,
        message: problem.message,
      })
    }
    standing.problem = problem
    standing.open = false
    halted()
    return false
  }

  async function askOne(known: KnownPeer, standing: Standing): Promise<void> {
    try {
      const answer = await deps.ask(known.name, { kind: 'Head' }, deps.signal)
      if (answer.kind !== 'Seen') return
      if (answer.envelope !== undefined) {
        const opened = openCheckpoint(answer.envelope, known.ownBundle)
        if (!opened.ok) {
          log.warn({ peer: known.name }, `a witness shows a checkpoint that is not ours: ${opened.message}`)
          return
        }
        const { size, root } = opened.checkpoint
        if (!(await confirm(known.identity, { witness: known.name, size, root }))) return
      }
      standing.answered.add(known.name)
    } catch (error) {
      log.debug({ peer: known.name, error: messageOf(error) }, 'a witness does not answer')
    }
  }

  const problemNow = () => [...standings.values()].find(({ problem }) => problem !== undefined)?.problem?.message
  const isOpen = (identity: string) => standings.get(identity)?.open === true

  return {
    confirm,
    isOpen,
    problem: problemNow,
    holds() {
      const problem = problemNow()
      if (problem !== undefined) return problem
      const all = peers.list()
      if (all.length > 0 && all.every(({ identity }) => isOpen(identity))) return undefined
      const waited = clock.monotonic() - began >= times.restoreWaitMilliseconds
      if (waited && suspected === undefined) return undefined
      return `witnesses have not said yet what they saw of our log${suspected === undefined ? '' : `, and ${suspected}`}`
    },
    suspect(why) {
      if (suspected === undefined)
        log.error(`the books of the ledger are older than they were: ${why}; all witnesses are asked before it goes on`)
      suspected = why
    },
    async ask() {
      const all = peers.list()
      for (const identity of new Set(all.map((each) => each.identity))) {
        const standing = standingOf(identity)
        if (standing.open || standing.problem !== undefined) continue
        const witnesses = all.filter((each) => each.identity === identity)
        const silent = witnesses.filter(({ name }) => !standing.answered.has(name))
        await Promise.all(silent.map((known) => askOne(known, standing)))
        if (standing.problem !== undefined) continue
        const waited = clock.monotonic() - standing.since >= times.restoreWaitMilliseconds
        const isEnough = standing.answered.size === witnesses.length || (waited && suspected === undefined)
        if (!isEnough || standing.answered.size === 0) continue
        standing.open = true
        log.info(
          { identity, witnesses: standing.answered.size, of: witnesses.length },
          'our log has what witnesses saw; the ledger goes on',
        )
      }
    },
  }
}
