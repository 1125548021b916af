import type { LeasePrice, Workload } from '../api/owner-scalars.ts'
import type { RemoteWorkStatus } from '../api/remote-work.ts'
import type { MessageOf } from '../federation/messages.ts'
import { dateTime, type LeaseTiming, leaseTiming, longestMs, type Now } from './timing.ts'

/** The durable half: RemoteWork.status.lease and .answer. */
export type RequesterLease = NonNullable<RemoteWorkStatus['lease']>
export type RequesterStatus = Pick<RemoteWorkStatus, 'answer' | 'lease'>

/** What of RemoteWork.spec.work the protocol needs. */
export type RequestedWork = {
  readonly workload: Workload
  readonly attempt: number
  readonly leaseSeconds: number
  readonly maxPrice?: LeasePrice | undefined
}

/** The half that a restart forgets. Times are monotonic milliseconds of this process. */
export type RequesterMemory = {
  /** When anything of the executor about this work was last taken. */
  readonly heardMs: number
  /** `lease.signedTime` that `signedMs` belongs to. */
  readonly signedTime: string | undefined
  /** Not before the executor's newest ask that we may have answered. */
  readonly signedMs: number
  /** Sequence of the newest RenewalAsk that this process answered. */
  readonly answeredAsk: number
}

/**
 * What this process knows after it has read the status anew. A signed time that it did not write itself (after a restart, or by
 * a former leader) counts as signed now: so a restarted requester waits one whole TTL.
 */
export function observe(status: RequesterStatus, memory: RequesterMemory | undefined, now: Now): RequesterMemory {
  const signedTime = status.lease?.signedTime
  if (memory === undefined) {
    return { heardMs: now.monotonicMs, signedTime, signedMs: now.monotonicMs, answeredAsk: 0 }
  }
  return memory.signedTime === signedTime ? memory : { ...memory, signedTime, signedMs: now.monotonicMs }
}

/** A new message of the executor about this work was taken. */
export function heard(memory: RequesterMemory, now: Now): RequesterMemory {
  return { ...memory, heardMs: now.monotonicMs }
}

export type AnswerTaken =
  | { ok: true; answer: NonNullable<RemoteWorkStatus['answer']>; lease?: RequesterLease; memory: RequesterMemory }
  | {
      ok: false
      /** Deferred: look again after `afterMs`. Unwanted: we gave the work up; say Cancel. The others: ignore it. */
      reason: 'Older' | 'OtherRequest' | 'OtherAttempt' | 'OlderEpoch' | 'Malformed' | 'Deferred' | 'Unwanted'
      afterMs?: number
    }

/**
 * Takes an answer. The result is to be written with the resourceVersion that was read.
 *
 * Train is deferred where another execution may still run: within one TTL of our start (a restore may have hidden an attempt), and while
 * the lease of an older epoch of the same request, which the executor forgot, may last.
 */
export function takeAnswer(input: {
  work: RequestedWork
  status: RequesterStatus
  memory: RequesterMemory
  answer: Pick<MessageOf<'Answer'>, 'sequence' | 'requestSha256' | 'decision' | 'refusals' | 'lease'>
  /** SHA-256 of the payload of the Request that we signed. */
  requestSha256: string
  /** Monotonic time of the start of this process. */
  startMs: number
  now: Now
  timing?: LeaseTiming
}): AnswerTaken {
  const { work, status, answer, now, timing = leaseTiming } = input
  if (answer.sequence <= (status.answer?.sequence ?? 0)) return { ok: false, reason: 'Older' }
  if (answer.requestSha256 !== input.requestSha256) return { ok: false, reason: 'OtherRequest' }
  const taken = {
    ok: true as const,
    answer: { decision: answer.decision, refusals: answer.refusals, sequence: answer.sequence },
    memory: heard(input.memory, now),
  }
  const known = status.lease
  if (answer.decision === 'Refused' || answer.decision === 'Ended') {
    if (answer.lease !== undefined && known !== undefined && answer.lease.epoch < known.epoch) {
      return { ok: false, reason: 'OlderEpoch' }
    }
    return known === undefined ? taken : { ...taken, lease: { ...known, state: 'Ended' } }
  }
  if (answer.decision === 'Pending') return taken
  const offered = answer.lease
  if (offered === undefined || offered.ttlSeconds > work.leaseSeconds) return { ok: false, reason: 'Malformed' }
  if (!isWithin(offered.price, work.maxPrice)) return { ok: false, reason: 'Malformed' }
  if (offered.attempt !== work.attempt) return { ok: false, reason: 'OtherAttempt' }
  if (known?.state === 'Ended') return { ok: false, reason: 'Unwanted' }
  if (known !== undefined && offered.epoch < known.epoch) return { ok: false, reason: 'OlderEpoch' }
  // The price of an epoch is the one that was granted first.
  const price = offered.price === undefined ? {} : { price: offered.price }
  if (known?.epoch === offered.epoch) return { ...taken, lease: { ...price, ...known, state: 'Active' } }
  if (work.workload === 'Train') {
    const untilMs = Math.max(
      quietUntilMs(work, input.startMs, timing),
      known === undefined ? 0 : input.memory.signedMs + longestMs(known.ttlSeconds, timing),
    )
    if (now.monotonicMs < untilMs) return { ok: false, reason: 'Deferred', afterMs: untilMs - now.monotonicMs }
  }
  const signedTime = dateTime(now.wallMs)
  return {
    ...taken,
    lease: { epoch: offered.epoch, ttlSeconds: offered.ttlSeconds, signedTime, state: 'Active', ...price },
    memory: { ...taken.memory, signedTime, signedMs: now.monotonicMs },
  }
}

/** Whether a price is what we said that we would pay; nobody may take more than was asked for. */
function isWithin(price: LeasePrice | undefined, most: LeasePrice | undefined): boolean {
  if (price === undefined || price.microsPerGPUHour === 0) return true
  return most !== undefined && price.currency === most.currency && price.microsPerGPUHour <= most.microsPerGPUHour
}

/** Until when, after its start, a requester places no Train work: what it forgot by a restore is over by then. */
export function quietUntilMs(
  work: Pick<RequestedWork, 'leaseSeconds'>,
  startMs: number,
  timing: LeaseTiming = leaseTiming,
): number {
  return startMs + longestMs(work.leaseSeconds, timing)
}

export type RenewalSigned =
  | { ok: true; lease: RequesterLease; memory: RequesterMemory; renewal: { epoch: number; nonce: string } }
  | { ok: false; reason: 'Answered' | 'NoLease' | 'OtherEpoch' | 'Over' | 'Unwanted' }

/**
 * Signs a renewal. `lease` and the sealed Renewal in the outbox go into one write, with the resourceVersion that was read: what the
 * executor may get is then always on record. `memory` holds from now on, whatever becomes of the write.
 */
export function signRenewal(input: {
  status: RequesterStatus
  memory: RequesterMemory
  ask: Pick<MessageOf<'RenewalAsk'>, 'epoch' | 'nonce' | 'sequence'>
  now: Now
  timing?: LeaseTiming
}): RenewalSigned {
  const { status, memory, ask, now, timing = leaseTiming } = input
  const { lease } = status
  if (ask.sequence <= memory.answeredAsk) return { ok: false, reason: 'Answered' }
  if (lease === undefined) return { ok: false, reason: 'NoLease' }
  if (lease.state === 'Ended') return { ok: false, reason: 'Unwanted' }
  if (ask.epoch !== lease.epoch) return { ok: false, reason: 'OtherEpoch' }
  if (overMs(lease, memory, timing) <= now.monotonicMs) return { ok: false, reason: 'Over' }
  const signedTime = dateTime(now.wallMs)
  return {
    ok: true,
    lease: { ...lease, signedTime, state: 'Active' },
    memory: { heardMs: now.monotonicMs, signedTime, signedMs: now.monotonicMs, answeredAsk: ask.sequence },
    renewal: { epoch: ask.epoch, nonce: ask.nonce },
  }
}

function overMs(lease: RequesterLease, memory: RequesterMemory, timing: LeaseTiming): number {
  return memory.signedMs + longestMs(lease.ttlSeconds, timing)
}

/** How a lease stands by our clock: Uncertain when nothing was heard for long, Ended when it is surely over there too. */
export function leaseState(
  lease: RequesterLease,
  memory: RequesterMemory,
  now: Now,
  timing: LeaseTiming = leaseTiming,
): { state: RequesterLease['state']; afterMs: number } {
  if (lease.state === 'Ended') return { state: 'Ended', afterMs: Number.POSITIVE_INFINITY }
  const overAfter = overMs(lease, memory, timing) - now.monotonicMs
  if (overAfter <= 0) return { state: 'Ended', afterMs: Number.POSITIVE_INFINITY }
  const uncertainAfter = memory.heardMs + lease.ttlSeconds * 1_000 * timing.uncertainAfter - now.monotonicMs
  if (uncertainAfter <= 0) return { state: 'Uncertain', afterMs: Math.ceil(overAfter) }
  return { state: 'Active', afterMs: Math.ceil(Math.min(overAfter, uncertainAfter)) }
}

export type Replacement = { now: true } | { now: false; afterMs: number }

/**
 * Whether work that was asked for here may be placed elsewhere. Before it is, `giveUp` must be written: from then on no renewal is
 * signed, and so nothing of it begins or goes on there.
 *
 * Serve may overlap, so it need not wait for anything. Train waits until the lease is over: at once when the peer said Ended or
 * never granted, else TTL x (1 + drift) after we signed; and in any case one TTL after our own start.
 */
export function mayReplace(input: {
  work: RequestedWork
  status: RequesterStatus
  memory: RequesterMemory
  startMs: number
  now: Now
  timing?: LeaseTiming
}): Replacement {
  const { work, status, memory, startMs, now, timing = leaseTiming } = input
  if (work.workload === 'Serve') return { now: true }
  const { lease, answer } = status
  // Refused is no word about a lease: it comes from a peer that forgot the lease in a restore.
  const said = answer?.decision === 'Ended'
  const untilMs = Math.max(
    quietUntilMs(work, startMs, timing),
    lease === undefined || said ? 0 : overMs(lease, memory, timing),
  )
  return now.monotonicMs >= untilMs ? { now: true } : { now: false, afterMs: Math.ceil(untilMs - now.monotonicMs) }
}

/** The status of work that is given up: nothing of it is renewed or believed any more. */
export function giveUp(status: RequesterStatus, now: Now): RequesterStatus & { lease: RequesterLease } {
  // Without a lease an epoch that no executor gives stands for it, so that a late grant finds the work given up.
  const none = { epoch: 0, ttlSeconds: 1, signedTime: dateTime(now.wallMs) }
  return { ...status, lease: { ...none, ...status.lease, state: 'Ended' } }
}

/**
 * When a tombstone may go although the peer never took the Cancel: whatever was granted is over then. Before any answer the peer may
 * still take the Request until `requestExpiresMs` (wall clock) and grant the whole wished time.
 */
export function tombstoneExpires(input: {
  work: RequestedWork
  status: RequesterStatus
  requestExpiresMs: number
  now: Now
  timing?: LeaseTiming
}): string {
  const { work, status, requestExpiresMs, now, timing = leaseTiming } = input
  const seconds = status.lease?.ttlSeconds ?? work.leaseSeconds
  const from = status.answer?.decision === 'Granted' ? now.wallMs : Math.max(now.wallMs, requestExpiresMs)
  return dateTime(from + longestMs(Math.max(seconds, work.leaseSeconds), timing))
}
