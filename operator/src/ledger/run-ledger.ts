import { sleep } from '../kube/clock.ts'
import { messageOf } from '../process/errors.ts'
import { peerAnswers } from './answer-peer.ts'
import { claimGrants, deliverClaims, stoppedGrants } from './claims/claim-grants.ts'
import type { LedgerDeps } from './deps.ts'
import { bundleKeeper } from './keep-bundles.ts'
import type { BatchAnswer } from './record.ts'
import { retain } from './retain.ts'
import type { GrantKey } from './store/store.ts'
import { recordTaker } from './take-records.ts'
import { makeCheckpoints } from './witness/make-checkpoints.ts'
import { restoreGate } from './witness/restore-gate.ts'

const capsMilliseconds = 1000
const witnessMilliseconds = 2000
const retentionMilliseconds = 3_600_000

export type RunningLedger = {
  takeRecords(body: unknown): Promise<BatchAnswer>
  takeMessage(peerName: string, body: unknown): Promise<object>
  /** Why the ledger does not go on. */
  problem(): string | undefined
  /** Resolves when all rounds have ended after `deps.signal` was aborted. */
  ended: Promise<void>
}

/** Runs what a ledger does by itself, round by round, and answers gateways and peers. */
export function runLedger(deps: LedgerDeps): RunningLedger {
  const { clock, log, metrics, signal, times, peers } = deps
  const gate = restoreGate(deps)
  const keepBundles = bundleKeeper(deps)
  const answer = peerAnswers(deps, gate)
  let stopped: Omit<GrantKey, 'side'>[] = []
  const take = recordTaker(deps, gate, () => stopped)

  const isOpen = () => peers.list().some(({ identity }) => gate.isOpen(identity))
  const rounds: Record<string, { every: number; act: () => Promise<void> }> = {
    caps: {
      every: capsMilliseconds,
      act: async () => {
        stopped = await stoppedGrants(deps)
      },
    },
    witnesses: { every: Math.min(witnessMilliseconds, times.restoreWaitMilliseconds), act: () => gate.ask() },
    bundles: { every: witnessMilliseconds, act: keepBundles },
    claim: { every: times.claimMilliseconds, act: () => claimGrants(deps, gate) },
    deliver: { every: times.deliverMilliseconds, act: () => (isOpen() ? deliverClaims(deps) : Promise.resolve()) },
    retention: { every: retentionMilliseconds, act: () => retain(deps, deps.retention) },
    disputed: {
      every: times.checkpointMilliseconds,
      act: () => (isOpen() ? deliverClaims(deps, 'Disputed') : Promise.resolve()),
    },
    checkpoint: { every: times.checkpointMilliseconds, act: () => makeCheckpoints(deps, gate) },
  }

  async function run(what: string, every: number, act: () => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      const began = clock.monotonic()
      try {
        await act()
      } catch (error) {
        if (signal.aborted) return
        metrics.failed(what)
        log.warn({ what, error: messageOf(error) }, 'a round of the ledger failed; it is repeated')
      }
      await sleep(clock, Math.max(20, every - (clock.monotonic() - began)), signal)
    }
  }

  return {
    takeRecords: take,
    takeMessage: answer,
    problem: () => gate.problem(),
    ended: Promise.all(Object.entries(rounds).map(([what, { every, act }]) => run(what, every, act))).then(
      () => undefined,
    ),
  }
}
