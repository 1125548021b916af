import type { Case, Later } from './case.ts'
import type { GuestWorkDeps } from './deps.ts'
import { answer, renewalAsk, report } from './letters.ts'
import { applyLocals, localsOf } from './locals.ts'
import type { Letter } from './outbox.ts'
import { metered, ownStatus, serviceKey } from './own-status.ts'
import { type Running, runningOf } from './running.ts'
import { isAnswerDue } from './say.ts'
import { authenticFinding, conditionsOf } from './summarise.ts'
import { type OwnStatus, writeStatus } from './write.ts'

/** Keeps the objects of a lease, renews it, counts, and reports. */
export async function keep(each: Case, deps: GuestWorkDeps): Promise<Later> {
  const { guest, seen, step, now, signal } = each
  const { request, policy, peer } = seen
  const persisted = guest.status?.lease
  if (step === undefined || persisted === undefined || policy === undefined || request === undefined) return {}
  const { work } = request
  // The lease that is on record; a renewed one is applied when it is.
  const refusal = await applyLocals(guest, work, policy.spec, persisted, deps, signal)
  const { service } = localsOf(guest, policy.spec.targetNamespace, deps)
  const running = runningOf(service, work.replicas, refusal)
  const lease = step.lease ?? persisted
  const isRenewed = lease.renewals !== persisted.renewals
  const status: OwnStatus = {
    ...ownStatus(guest),
    lease,
    ...metered(guest, work, deps.times, now.wallMs, isRenewed),
    replicas: running.replicas,
    readyReplicas: running.readyReplicas,
    conditions: conditionsOf(
      guest,
      {
        authentic: authenticFinding(undefined, true),
        granted: { reason: 'Granted', message: `granted by SharePolicy ${policy.name}, epoch ${lease.epoch}` },
        running,
      },
      new Date(now.wallMs),
    ),
  }
  const letters: Letter[] = []
  if (isAnswerDue(each, status, deps)) {
    letters.push(answer(guest, status, { ...request, incarnation: peer?.status?.incarnation ?? 0 }))
  }
  if (step.ask !== undefined) letters.push(renewalAsk(guest, lease, step.ask))
  if (isReportDue(each, status, running)) letters.push(report(guest, lease.epoch, running, status.gpuSeconds ?? 0))
  await writeStatus(guest, peer, status, letters, deps, signal)
  deps.memory.leases.set(guest.metadata.uid, step.memory)
  const key = serviceKey(guest)
  if (key !== undefined && status.meteredTime !== undefined) deps.times.forget(key, status.meteredTime)
  // Refused objects are tried again: a quota or an admission policy may change without an event.
  return refusal === undefined ? {} : { afterMs: 30_000 }
}

/** Whether a report says something that the last one did not. */
export function isReportDue({ guest }: Case, status: OwnStatus, running: Running): boolean {
  const before = guest.status ?? {}
  if (before.outbox?.some(({ kind }) => kind === 'Report') !== true) return true
  const said = before.conditions?.find(({ type }) => type === 'Running')
  return (
    before.replicas !== status.replicas ||
    before.readyReplicas !== status.readyReplicas ||
    before.gpuSeconds !== status.gpuSeconds ||
    said?.reason !== running.reason ||
    said.message !== running.message
  )
}
