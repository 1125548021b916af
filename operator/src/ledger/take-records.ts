import { Refusal } from '../identity/refusal.ts'
import type { LedgerDeps } from './deps.ts'
import { type BatchAnswer, batchSchema } from './record.ts'
import type { GrantKey } from './store/store.ts'
import type { RestoreGate } from './witness/restore-gate.ts'

/** Takes batches of gateways, each record once, and tells which grants are stopped. */
export function recordTaker(
  deps: LedgerDeps,
  gate: RestoreGate,
  stopped: () => readonly Omit<GrantKey, 'side'>[],
): (body: unknown) => Promise<BatchAnswer> {
  const { store, clock, log, metrics } = deps
  return async (body) => {
    const { data: batch, error } = batchSchema.safeParse(body)
    if (batch === undefined) {
      const where = error.issues[0]?.path.join('.') ?? ''
      throw new Refusal(400, 'RequestInvalid', `the body is no batch of records: ${where}`)
    }
    const { gateway, first, taken } = batch
    const expected = await store.spoolPosition(gateway)
    if (expected < taken) gate.suspect(`a gateway handed over records up to ${taken}, and they end at ${expected}`)
    const held = gate.holds()
    // The spools keep what a newer backup of the books would not have.
    if (held !== undefined) throw new Refusal(503, 'LedgerHalted', held)
    if (expected < taken) log.error({ gateway, taken, expected }, 'records that were taken before are lost here')
    // Every start of a spool begins a new block of positions.
    if (expected < first) await store.skipSpool(gateway, first)
    const done = await store.takeRecords(gateway, first, batch.records, clock.now())
    metrics.records(done.taken)
    for (const grant of done.replayed) log.warn({ ...grant }, 'a second receipt of the same id is not counted')
    return { next: done.next, stopped: [...stopped()] }
  }
}
