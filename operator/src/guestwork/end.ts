import { conditionOf } from '../kube/conditions.ts'
import type { Case, Later } from './case.ts'
import type { GuestWorkDeps } from './deps.ts'
import { isReportDue } from './keep.ts'
import { answer, report } from './letters.ts'
import { localsOf, removeLocals, suspendLocals } from './locals.ts'
import { isDelivered, type Letter } from './outbox.ts'
import { metered, ownStatus, serviceKey } from './own-status.ts'
import type { Plan } from './plan.ts'
import type { Running } from './running.ts'
import { isAnswerDue } from './say.ts'
import { authenticFinding, conditionsOf } from './summarise.ts'
import { type OwnStatus, writeStatus } from './write.ts'

// These can be said before workers leave, so that the requester sends its users elsewhere first.
const announced: ReadonlySet<string> = new Set(['WindowClosed', 'PolicyChanged', 'Preempted'])
const announceMilliseconds = 3_000
// A worker has its own time to drain, and the kubelet ten seconds more; after that the objects go in any case.
const longestExtraMilliseconds = 30_000

/** Ends a lease: says why, and takes the workers away. */
export async function end(each: Case, next: Extract<Plan, { do: 'End' }>, deps: GuestWorkDeps): Promise<Later> {
  const { guest, seen, now, signal } = each
  const { reason, refusals, veto } = next
  const namespace = guest.status?.local?.namespace
  const isGraceful = announced.has(reason) && veto?.action !== 'Stop'
  if (!isGraceful) await suspendLocals(guest, namespace, deps, signal)
  const had = guest.status?.lease !== undefined
  const time = new Date(Math.floor(now.wallMs / 1_000) * 1_000).toISOString()
  const status: OwnStatus = {
    ...ownStatus(guest),
    ...(seen.request !== undefined && { requestSha256: seen.request.sha256 }),
    decision: 'Ended',
    refusals,
    ...(veto !== undefined && { veto: { ...veto, time } }),
    ...metered(guest, seen.request?.work, deps.times, now.wallMs, true),
    conditions: conditionsOf(
      guest,
      {
        authentic: authenticFinding(seen.problem, true),
        granted: {
          reason,
          message: refusals
            .map(({ message }) => message)
            .join('; ')
            .slice(0, 1_024),
        },
        running: had ? draining(guest.status) : undefined,
      },
      new Date(now.wallMs),
    ),
  }
  const letters: Letter[] = []
  if (seen.request !== undefined) {
    letters.push(answer(guest, status, { ...seen.request, incarnation: seen.peer?.status?.incarnation ?? 0 }))
  }
  try {
    await writeStatus(guest, seen.peer, status, letters, deps, signal)
  } catch (thrown) {
    // Whether or not it can be said: it ends.
    await suspendLocals(guest, namespace, deps, signal)
    throw thrown
  }
  deps.memory.leases.delete(guest.metadata.uid)
  return { afterMs: 1_000 }
}

/** Sees an ended lease off: lets workers drain, removes the objects, counts to the end. */
export async function stayEnded(each: Case, deps: GuestWorkDeps): Promise<Later> {
  const { guest, seen, now, signal } = each
  const { status: before } = guest
  const namespace = before?.local?.namespace
  const granted = conditionOf(before?.conditions, 'Granted')
  const endedAt = granted === undefined ? now.wallMs : Date.parse(granted.lastTransitionTime)
  const { service } = localsOf(guest, namespace, deps)
  let isGone = false
  if (namespace !== undefined) {
    const waits = announced.has(granted?.reason ?? '') && before?.veto?.action !== 'Stop'
    const isHeard = before === undefined || isDelivered(before, 'Answer')
    if (service !== undefined && !service.spec.suspend) {
      if (waits && !isHeard && now.wallMs - endedAt < announceMilliseconds) return { afterMs: 200 }
      await suspendLocals(guest, namespace, deps, signal)
    } else {
      const drainSeconds = service?.spec.timeouts.drainSeconds ?? 0
      const deadline = endedAt + announceMilliseconds + drainSeconds * 1_000 + longestExtraMilliseconds
      const isEmpty = deps.times.countOf(serviceKey(guest) ?? '') === 0
      if (isEmpty || now.wallMs >= deadline) isGone = await removeLocals(guest, namespace, deps, signal)
    }
  }
  return sayEnded(each, isGone, seen.request?.work, deps)
}

async function sayEnded(
  each: Case,
  isGone: boolean,
  work: Parameters<typeof metered>[1],
  deps: GuestWorkDeps,
): Promise<Later> {
  const { guest, seen, now, signal } = each
  const status: OwnStatus = { ...ownStatus(guest), ...metered(guest, work, deps.times, now.wallMs, isGone) }
  const stays = status.local !== undefined && !isGone
  if (isGone) {
    delete status.local
    delete status.reserved
  }
  const running: Running | undefined =
    status.lease === undefined
      ? undefined
      : stays
        ? draining(guest.status)
        : { reason: 'Stopped', message: 'nothing runs', told: 'nothing runs', replicas: 0, readyReplicas: 0 }
  const said = conditionOf(guest.status?.conditions, 'Granted')
  if (running !== undefined) {
    const { service } = localsOf(guest, guest.status?.local?.namespace, deps)
    status.replicas = stays ? (service?.status?.replicas ?? 0) : 0
    status.readyReplicas = stays ? (service?.status?.readyReplicas ?? 0) : 0
    const others = (guest.status?.conditions ?? []).filter(({ type }) => type !== 'Running')
    const findings = {
      authentic: authenticFinding(undefined, true),
      // Only reasons of ours stand there.
      granted: { reason: (said?.reason ?? 'PolicyChanged') as 'PolicyChanged', message: said?.message ?? '' },
      running,
    }
    const all = conditionsOf(guest, findings, new Date(now.wallMs))
    status.conditions = [...others, ...all.filter(({ type }) => type === 'Running')]
  }
  const letters: Letter[] = []
  if (seen.request !== undefined && isAnswerDue(each, status, deps)) {
    letters.push(answer(guest, status, { ...seen.request, incarnation: seen.peer?.status?.incarnation ?? 0 }))
  }
  if (running !== undefined && status.lease !== undefined) {
    const counted = { ...running, replicas: status.replicas ?? 0, readyReplicas: status.readyReplicas ?? 0 }
    if (isReportDue(each, status, counted))
      letters.push(report(guest, status.lease.epoch, counted, status.gpuSeconds ?? 0))
  }
  await writeStatus(guest, seen.peer, status, letters, deps, signal)
  const key = serviceKey(guest)
  if (key !== undefined && status.meteredTime !== undefined) deps.times.forget(key, status.meteredTime)
  return stays ? { afterMs: 1_000 } : {}
}

function draining(status: { replicas?: number | undefined; readyReplicas?: number | undefined } | undefined): Running {
  const message = 'the lease has ended; requests are being finished'
  const { replicas = 0, readyReplicas = 0 } = status ?? {}
  return { reason: 'Draining', message, told: message, replicas, readyReplicas }
}
