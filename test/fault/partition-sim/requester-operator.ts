import type { RequestedWork, RequesterMemory } from '@hansa/operator/grant/requester.ts'
import { confirm, isConfirmed } from './confirm.ts'
import type { RemoteObject, WorkObject } from './objects.ts'
import type { Owner, Stage } from './owner.ts'
import type { Pass } from './process.ts'
import type { View } from './store.ts'

export type RequesterState = { readonly works: Map<string, RequesterMemory> }

type Placing = Omit<RequestedWork, 'attempt'>
type Host = { readonly stage: Stage; readonly owner: Owner<RequesterState>; readonly placing: Placing }
type Looked = Generator<() => void, 'written' | number, void>

const requestSeconds = 60
/** How long work that was placed elsewhere is kept after the last word about it. */
const keptMs = 20_000

/** One pass of the remote work controller, and of who places the work: confirmation, leases, then placement. */
export function* requesterPass(host: Host, view: View): Pass {
  if (yield* confirm(host.stage, host.owner, view)) return 0
  const work = view.get('work', 'w')
  if (work === undefined) return 60_000
  let afterMs = 60_000
  for (const { name, value } of view.list('remote')) {
    const silentMs =
      host.owner.operator.now().monotonicMs -
      (host.owner.operator.memory.works.get(name)?.heardMs ?? Number.POSITIVE_INFINITY)
    const isFormer = value.work.attempt < work.value.attempt && work.value.current !== name && silentMs > keptMs
    const looked =
      work.value.deleted || isFormer ? yield* remove(host, view, name) : yield* keep(host, view, name, value)
    if (looked === 'written') return 0
    afterMs = Math.min(afterMs, looked)
  }
  for (const { name, version, value } of view.list('tomb')) {
    const leftMs = Date.parse(value.expires) - host.owner.operator.now().wallMs
    if (!value.delivered && leftMs > 0) {
      afterMs = Math.min(afterMs, leftMs)
      continue
    }
    if (!value.delivered) host.stage.world.count('tombstone expired undelivered')
    yield () => host.owner.store.write('tomb', name, version, undefined)
    return 0
  }
  if (work.value.deleted) return afterMs
  const placed = yield* place(host, view, work.value, work.version)
  return placed === 'written' ? 0 : Math.min(afterMs, placed)
}

/** Takes answers and asks of one RemoteWork and follows its lease. */
function* keep({ stage, owner }: Host, view: View, uid: string, remote: RemoteObject): Looked {
  const { protocol, checks, world } = stage
  const { operator, store } = owner
  const version = view.get('remote', uid)?.version ?? 0
  const { status, work } = remote
  const now = operator.now()
  const memory = protocol.observe(status, operator.memory.works.get(uid), now)
  operator.memory.works.set(uid, memory)
  const { timing } = protocol
  let afterMs = 60_000
  const answer = remote.inbox.Answer?.body
  if (answer !== undefined) {
    const requestSha256 = remote.outbox.Request?.body.sha256 ?? ''
    const startMs = 0
    const taken = protocol.takeAnswer({ work, status, memory, answer, requestSha256, startMs, now, timing })
    if (taken.ok) {
      operator.memory.works.set(uid, taken.memory)
      const lease = taken.lease ?? status.lease
      const sink = view.get('work', 'w')
      // The sink refuses older epochs before the newer one is believed.
      if (lease !== undefined && sink?.value.fence !== undefined) {
        const fence = protocol.raiseFence(sink.value.fence, { requestId: uid, epoch: lease.epoch })
        const { value, version: sinkVersion } = sink
        if (fence !== value.fence) yield () => store.write('work', 'w', sinkVersion, { ...value, fence })
      }
      yield () => {
        store.write('remote', uid, version, { ...remote, status: { answer: taken.answer, ...(lease && { lease }) } })
        checks.answerTaken(uid, answer.lease?.epoch, status.lease?.epoch, answer.decision)
        if (answer.decision === 'Granted' && taken.lease !== undefined) checks.signed(uid)
      }
      return 'written'
    }
    if (taken.reason !== 'Older') world.count(`answer not taken: ${taken.reason}`)
    if (taken.afterMs !== undefined) afterMs = Math.min(afterMs, taken.afterMs)
  }
  const ask = remote.inbox.RenewalAsk?.body
  if (ask !== undefined) {
    const signed = protocol.signRenewal({ status, memory, ask, now, timing })
    if (signed.ok) {
      operator.memory.works.set(uid, signed.memory)
      const confirmed = view.get('peer', remote.peer)?.value ?? {}
      const sequence = protocol.nextSequence(remote.outbox.Renewal?.sequence, confirmed)
      const Renewal = { sequence, body: { requestId: uid, sequence, ...signed.renewal } }
      yield () => {
        store.write('remote', uid, version, {
          ...remote,
          status: { ...status, lease: signed.lease },
          outbox: { ...remote.outbox, Renewal },
        })
        checks.signed(uid)
      }
      return 'written'
    }
    if (signed.reason !== 'Answered') world.count(`renewal not signed: ${signed.reason}`)
  }
  if (status.lease !== undefined) {
    const { state, afterMs: stateAfterMs } = protocol.leaseState(status.lease, memory, now, timing)
    afterMs = Math.min(afterMs, stateAfterMs)
    if (state !== status.lease.state && status.lease.state !== 'Ended') {
      world.count(`requester's lease ${state}`)
      const lease = { ...status.lease, state }
      yield () => {
        store.write('remote', uid, version, { ...remote, status: { ...status, lease } })
        if (state === 'Ended') checks.endedByRequester(uid, remote.work.leaseSeconds, owner.name)
      }
      return 'written'
    }
  }
  return afterMs
}

/** Deletes one RemoteWork at once; a tombstone stays until the peer knows. */
function* remove({ stage, owner }: Host, view: View, uid: string): Looked {
  const found = view.get('remote', uid)
  if (found === undefined) return 60_000
  const { value: remote, version } = found
  const { protocol } = stage
  if (view.get('tomb', uid) === undefined && protocol.habits.sendsCancel && remote.outbox.Request !== undefined) {
    const confirmed = view.get('peer', remote.peer)?.value ?? {}
    const sequence = protocol.nextSequence(remote.outbox.Cancel?.sequence, confirmed)
    const { status, work } = remote
    const requestExpiresMs = remote.outbox.Request.body.expiresMs
    const now = owner.operator.now()
    const expires = protocol.tombstoneExpires({ work, status, requestExpiresMs, now, timing: protocol.timing })
    yield () =>
      owner.store.write('tomb', uid, 0, {
        peer: remote.peer,
        cancel: { sequence, body: { requestId: uid, sequence } },
        delivered: false,
        expires,
      })
    return 'written'
  }
  if (protocol.habits.deletionWaitsForPeer && view.get('tomb', uid)?.value.delivered !== true) return 1_000
  yield () => owner.store.write('remote', uid, version, undefined)
  return 'written'
}

/** Places the work, and places it elsewhere when it may be. */
function* place(host: Host, view: View, work: WorkObject, version: number): Looked {
  const { stage, owner, placing } = host
  const { protocol, world } = stage
  const { store, operator } = owner
  const now = operator.now()
  const startMs = 0
  const current = work.current === undefined ? undefined : view.get('remote', work.current)
  if (work.current !== undefined && current !== undefined) {
    const uid = work.current
    const { value: remote } = current
    if (remote.outbox.Request === undefined) return yield* request(host, view, uid)
    const { lease, answer } = remote.status
    const memory = operator.memory.works.get(uid)
    if (memory === undefined) return 1_000
    const silentMs = now.monotonicMs - memory.heardMs
    const isLost = lease === undefined && (answer?.decision === 'Refused' || silentMs > placing.leaseSeconds * 1_000)
    const isWanted = lease?.state !== 'Ended' && !isLost
    if (isWanted) return lease === undefined ? 1_000 : 60_000
    if (lease?.state !== 'Ended') {
      const given = protocol.giveUp(remote.status, now)
      world.count('work given up without a grant')
      if (!protocol.habits.givesUpDurably) operator.memory.works.delete(uid)
      yield () => {
        if (protocol.habits.givesUpDurably) store.write('remote', uid, current.version, { ...remote, status: given })
      }
      if (protocol.habits.givesUpDurably) return 'written'
    }
    const { status } = remote
    const may = protocol.mayReplace({ work: remote.work, status, memory, startMs, now, timing: protocol.timing })
    if (!may.now) return Math.min(may.afterMs, 5_000)
  }
  const peer = work.attempt % 2 === 0 ? 'X1' : 'X2'
  if (!isConfirmed(view, peer, operator.nonce)) {
    // Without a word of this peer the other is tried.
    const other = peer === 'X1' ? 'X2' : 'X1'
    if (!isConfirmed(view, other, operator.nonce)) return 1_000
    return yield* placeAt(host, view, work, version, other)
  }
  return yield* placeAt(host, view, work, version, peer)
}

function* placeAt(host: Host, view: View, work: WorkObject, version: number, peer: string): Looked {
  const { stage, owner, placing } = host
  const { protocol, checks } = stage
  const { store, operator } = owner
  const now = operator.now()
  if (placing.workload === 'Train') {
    const quietMs = protocol.quietUntilMs(placing, 0, protocol.timing) - now.monotonicMs
    if (quietMs > 0) {
      stage.world.count('placing waits for a TTL after the start')
      return Math.min(quietMs, 5_000)
    }
  }
  const attempt = work.attempt + 1
  // The name is the attempt's, so that a lost reply makes no second object.
  const before = view.list('remote').find(({ value }) => value.work.attempt === attempt)
  const uid = before?.name ?? stage.uid(`a${attempt}-`)
  if (before === undefined) {
    const remote = { peer, work: { ...placing, attempt }, status: {}, outbox: {}, inbox: {} }
    yield () => store.write('remote', uid, 0, { ...remote, delivered: {} })
    return 'written'
  }
  const turned = protocol.turnFence(work.fence, { requestId: uid, attempt })
  if (!turned.ok) return checks.fail('fence', `cannot turn the fence to attempt ${attempt}: ${turned.reason}`)
  yield () => {
    store.write('work', 'w', version, { ...work, current: uid, attempt, fence: turned.fence })
    checks.placed(before.value.peer, uid, attempt, placing.workload)
  }
  return 'written'
}

function* request({ stage, owner }: Host, view: View, uid: string): Looked {
  const found = view.get('remote', uid)
  if (found === undefined) return 60_000
  const { value: remote, version } = found
  const { protocol } = stage
  const sequence = protocol.nextSequence(undefined, view.get('peer', remote.peer)?.value ?? {})
  const now = owner.operator.now()
  const expiresMs = now.wallMs + requestSeconds * 1_000
  const body = { requestId: uid, sequence, work: remote.work, sha256: `sha-${uid}`, expiresMs }
  yield () =>
    owner.store.write('remote', uid, version, {
      ...remote,
      outbox: { ...remote.outbox, Request: { sequence, body } },
    })
  return 'written'
}
