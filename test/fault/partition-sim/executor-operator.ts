import type { ExecutorMemory } from '@hansa/operator/grant/executor.ts'
import { confirm, isConfirmed } from './confirm.ts'
import type { GuestObject } from './objects.ts'
import type { Owner, Stage } from './owner.ts'
import type { Pass } from './process.ts'
import type { View } from './store.ts'
import type { Workers } from './workers.ts'

export type ExecutorState = { readonly leases: Map<string, ExecutorMemory> }

/** What an admin decides from outside. */
export type Rules = { refuses: boolean; vetoes: boolean; reconnected: boolean }

type Host = {
  readonly stage: Stage
  readonly owner: Owner<ExecutorState>
  readonly workers: Workers
  readonly rules: Rules
}

/** One pass of the guest controller: confirmation, decisions, leases, pods, and what to say of them. */
export function* executorPass(host: Host, view: View): Pass {
  if (yield* confirm(host.stage, host.owner, view)) return 0
  let afterMs = 60_000
  for (const { name, version, value } of view.list('guest')) {
    const guest = yield* decide(host, view, name, version, value)
    if (guest === 'written') return 0
    if (guest !== 'nothing') afterMs = Math.min(afterMs, guest)
  }
  return afterMs
}

type Looked = Generator<() => void, 'written' | 'nothing' | number, void>

function* decide(host: Host, view: View, uid: string, version: number, guest: GuestObject): Looked {
  const { stage, owner, rules } = host
  const { store } = owner
  const { habits } = stage.protocol
  if (guest.decision === 'Ended') return yield* sayEnded(host, view, uid, version, guest)
  const isCancelled = habits.takesCancel && guest.inbox.Cancel !== undefined
  if (guest.decision === 'Granted' && guest.lease !== undefined) {
    return yield* keepLease(host, view, uid, version, { ...guest, lease: guest.lease }, isCancelled)
  }
  if (isCancelled) {
    yield () => store.write('guest', uid, version, { ...guest, decision: 'Ended', reason: 'Cancelled' })
    return 'written'
  }
  const peer = view.get('peer', 'R')
  if (rules.refuses) {
    if (guest.decision === 'Refused') return 'nothing'
    const sequence = stage.protocol.nextSequence(guest.outbox.Answer?.sequence, peer?.value ?? {})
    const { requestId, sha256: requestSha256 } = guest.request
    const body = { requestId, sequence, requestSha256, decision: 'Refused' as const, refusals: [] }
    stage.world.count('request refused')
    yield () =>
      store.write('guest', uid, version, {
        ...guest,
        decision: 'Refused',
        outbox: { ...guest.outbox, Answer: { sequence, body } },
      })
    return 'written'
  }
  if (!isConfirmed(view, 'R', owner.operator.nonce) || peer === undefined) {
    stage.world.count('grant waits for the confirmation')
    return 'nothing'
  }
  const epoch = stage.protocol.nextEpoch(peer.value)
  if (epoch === undefined) return stage.checks.fail('epochs', `${owner.name} has no epoch left`)
  if (habits.epochIsDurable) {
    yield () => store.write('peer', 'R', peer.version, { ...peer.value, epoch })
  }
  const now = owner.operator.now()
  const sentMs = stage.world.nowMs
  const { workload, leaseSeconds, attempt } = guest.request.work
  const change = stage.protocol.grantLease({ workload, epoch, ttlSeconds: leaseSeconds, nonce: stage.uid('n'), now })
  const { lease, memory, ask } = change
  const sequence = stage.protocol.nextSequence(guest.outbox.Answer?.sequence, peer.value)
  const body = {
    requestId: uid,
    sequence,
    requestSha256: guest.request.sha256,
    decision: 'Granted' as const,
    refusals: [],
    lease: { epoch, attempt, ttlSeconds: leaseSeconds, incarnation: peer.value.incarnation ?? 0 },
  }
  owner.operator.memory.leases.set(uid, memory)
  stage.checks.asked(ask)
  yield () => {
    store.write('guest', uid, version, {
      ...guest,
      decision: 'Granted',
      lease,
      outbox: { ...guest.outbox, Answer: { sequence, body }, ...renewalAsk(stage, guest, uid, lease, ask, peer.value) },
    })
    stage.checks.granted(owner.name, uid, epoch, leaseSeconds, sentMs)
  }
  return 'written'
}

function renewalAsk(
  stage: Stage,
  guest: GuestObject,
  requestId: string,
  { epoch, ttlSeconds }: { epoch: number; ttlSeconds: number },
  nonce: string | undefined,
  confirmed: { incarnation?: number },
): Pick<GuestObject['outbox'], 'RenewalAsk'> {
  if (nonce === undefined) return {}
  const sequence = stage.protocol.nextSequence(guest.outbox.RenewalAsk?.sequence, confirmed)
  return { RenewalAsk: { sequence, body: { requestId, sequence, epoch, nonce, ttlSeconds } } }
}

function* keepLease(
  host: Host,
  view: View,
  uid: string,
  version: number,
  guest: GuestObject & { lease: NonNullable<GuestObject['lease']> },
  cancelled: boolean,
): Looked {
  const { stage, owner, rules } = host
  const { store, operator } = owner
  const { workload } = guest.request.work
  const known = operator.memory.leases.get(uid)
  if (known === undefined) stage.checks.recovered(owner.name, uid, guest.lease)
  const step = stage.protocol.stepLease({
    workload,
    lease: guest.lease,
    memory: known,
    cancelled,
    renewal: guest.inbox.Renewal?.body,
    nonce: stage.uid('n'),
    now: operator.now(),
    timing: stage.protocol.timing,
  })
  operator.memory.leases.set(uid, step.memory)
  stage.checks.asked(step.ask)
  if (step.lease !== undefined && step.lease.renewals > guest.lease.renewals) {
    stage.checks.renewed(owner.name, uid, guest.inbox.Renewal?.body.nonce)
  }
  if (workload === 'Train') stage.checks.permits(owner.name, uid, step.mayRun)
  if (workload === 'Train' && !step.mayRun && known === undefined) stage.world.count('Train paused after a restart')
  const ended = step.ended ?? (rules.vetoes ? 'Vetoed' : rules.reconnected ? 'LeaseExpired' : undefined)
  if (ended !== undefined) {
    if (rules.vetoes && step.ended === undefined) stage.world.count('lease vetoed')
    yield () => {
      store.write('guest', uid, version, { ...guest, decision: 'Ended', reason: ended })
      stage.checks.endedByExecutor(owner, uid, ended)
    }
    return 'written'
  }
  const { lease, ask } = step
  if (lease !== undefined) {
    const confirmed = view.get('peer', 'R')?.value ?? {}
    const asked = renewalAsk(stage, guest, uid, lease, ask, confirmed)
    yield () => store.write('guest', uid, version, { ...guest, lease, outbox: { ...guest.outbox, ...asked } })
    return 'written'
  }
  const pods = view.get('pods', uid)
  if (!step.mayRun) {
    if (pods === undefined) return step.afterMs
    yield () => store.write('pods', uid, pods.version, undefined)
    return 'written'
  }
  const file = stage.protocol.leaseFile(workload, guest.lease)
  if (pods === undefined || pods.value.file.renewals !== file.renewals || pods.value.file.epoch !== file.epoch) {
    yield () => store.write('pods', uid, pods?.version ?? 0, { work: guest.request.work, file })
    return 'written'
  }
  return step.afterMs
}

function* sayEnded(host: Host, view: View, uid: string, version: number, guest: GuestObject): Looked {
  const { stage, owner, workers } = host
  const pods = view.get('pods', uid)
  stage.checks.permits(owner.name, uid, false)
  if (pods !== undefined) {
    yield () => owner.store.write('pods', uid, pods.version, undefined)
    return 'written'
  }
  if (workers.isRunning(uid) && !stage.protocol.habits.saysEndedEarly) return 100
  if (guest.outbox.Answer?.body.decision === 'Ended') return 'nothing'
  const sequence = stage.protocol.nextSequence(guest.outbox.Answer?.sequence, view.get('peer', 'R')?.value ?? {})
  const { requestId, sha256: requestSha256, work } = guest.request
  const lease = guest.lease && {
    epoch: guest.lease.epoch,
    attempt: work.attempt,
    ttlSeconds: guest.lease.ttlSeconds,
    incarnation: view.get('peer', 'R')?.value.incarnation ?? 0,
  }
  const body = { requestId, sequence, requestSha256, decision: 'Ended' as const, refusals: [], ...(lease && { lease }) }
  const { RenewalAsk: _, ...outbox } = guest.outbox
  yield () => owner.store.write('guest', uid, version, { ...guest, outbox: { ...outbox, Answer: { sequence, body } } })
  return 'written'
}
