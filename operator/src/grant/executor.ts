import type { GuestWorkStatus } from '../api/guest-work.ts'
import type { LeasePrice, Workload } from '../api/owner-scalars.ts'
import type { MessageOf } from '../federation/messages.ts'
import { dateTime, type LeaseTiming, leaseTiming, type Now } from './timing.ts'

/** The durable half of a lease: GuestWork.status.lease. */
export type ExecutorLease = NonNullable<GuestWorkStatus['lease']>

/** The half of a lease that a restart forgets. Times are monotonic milliseconds of this process. */
export type ExecutorMemory = {
  /** The lease is over then: send time of the newest answered ask, plus TTL. */
  readonly deadlineMs: number
  /** Where the newest third of the TTL began: the grant, or the send time of the newest answered ask. */
  readonly sinceMs: number
  /** Whether the requester renewed since this process knows the lease. */
  readonly renewed: boolean
  /** Asks that may still be answered, oldest first. */
  readonly asks: readonly { readonly nonce: string; readonly sentMs: number }[]
}

/** What is to be written together; the outbox entry of `ask` belongs into the same write. */
export type LeaseChange = {
  readonly lease: ExecutorLease
  readonly memory: ExecutorMemory
  /** Nonce of a RenewalAsk to put into the outbox. */
  readonly ask?: string
}

const mostAsks = 4

/**
 * Begins a lease. `epoch` comes from `nextEpoch` and must already stand in Peer.status (written with its resourceVersion): only
 * then may the result be written, with the Answer, into GuestWork.status. A Train lease asks for its first renewal at once,
 * since it may not run before.
 */
export function grantLease(input: {
  workload: Workload
  epoch: number
  ttlSeconds: number
  nonce: string
  /** Stays as it is for the whole lease, whatever the policy asks later. */
  price?: LeasePrice | undefined
  now: Now
}): LeaseChange {
  const { workload, epoch, ttlSeconds, nonce, price, now } = input
  const ttlMs = ttlSeconds * 1_000
  const lease: ExecutorLease = {
    epoch,
    ttlSeconds,
    grantedTime: dateTime(now.wallMs),
    expiresTime: dateTime(now.wallMs + ttlMs),
    renewals: 0,
    ...(price !== undefined && { price }),
  }
  const memory = { deadlineMs: now.monotonicMs + ttlMs, sinceMs: now.monotonicMs, renewed: false, asks: [] }
  return workload === 'Train' ? askRenewal({ lease, memory, nonce, now }) : { lease, memory }
}

/**
 * What is known of a lease after a restart: its time is the earlier of the persisted end by the wall clock and a whole TTL from
 * now. A renewal is due at once, and a Train lease rests until it came.
 */
export function recoverLease(lease: ExecutorLease, now: Now): ExecutorMemory {
  const ttlMs = lease.ttlSeconds * 1_000
  const leftMs = Math.min(ttlMs, Date.parse(lease.expiresTime) - now.wallMs)
  return { deadlineMs: now.monotonicMs + leftMs, sinceMs: now.monotonicMs - ttlMs, renewed: false, asks: [] }
}

/** Whether the time of a lease is over; nothing brings it back. */
export function isOver(memory: ExecutorMemory, now: Now): boolean {
  return now.monotonicMs >= memory.deadlineMs
}

/** Whether the work may run now. Serve runs until the lease is over; Train only once the requester has renewed to this process. */
export function mayRun(workload: Workload, memory: ExecutorMemory, now: Now): boolean {
  return !isOver(memory, now) && (workload === 'Serve' || memory.renewed)
}

/** Asks for a renewal. Its send time is `now`, taken before anything is signed or written, so never later than the message leaves. */
export function askRenewal(input: {
  lease: ExecutorLease
  memory: ExecutorMemory
  nonce: string
  now: Now
}): LeaseChange & { ask: string } {
  const { lease, memory, nonce, now } = input
  const asks = [...memory.asks, { nonce, sentMs: now.monotonicMs }].slice(-mostAsks)
  return { lease: { ...lease, nonce }, memory: { ...memory, asks }, ask: nonce }
}

/** Milliseconds until a renewal should be asked for: a third of the TTL after the last, then each sixth. 0: now. */
export function askDueMs(
  lease: ExecutorLease,
  memory: ExecutorMemory,
  now: Now,
  timing: LeaseTiming = leaseTiming,
): number {
  const ttlMs = lease.ttlSeconds * 1_000
  const last = memory.asks.at(-1)
  const due = last === undefined ? memory.sinceMs + ttlMs * timing.askAfter : last.sentMs + ttlMs * timing.askAgainAfter
  return Math.max(0, Math.ceil(due - now.monotonicMs))
}

export type RenewalTaken =
  | { ok: true; change: LeaseChange }
  | { ok: false; reason: 'Over' | 'OtherEpoch' | 'OtherNonce' | 'Late' }

/**
 * Takes a renewal that answers an ask of this process: the lease then lasts until the *send* time of that ask plus TTL, however
 * long the answer took. A late one does not bring a lease back. For Train it must come before the next ask would be made, since
 * workers are given what is left after that time for their way (see `leaseFile`).
 */
export function takeRenewal(input: {
  workload: Workload
  lease: ExecutorLease
  memory: ExecutorMemory
  renewal: Pick<MessageOf<'Renewal'>, 'epoch' | 'nonce'>
  now: Now
  timing?: LeaseTiming
}): RenewalTaken {
  const { workload, lease, memory, renewal, now, timing = leaseTiming } = input
  if (isOver(memory, now)) return { ok: false, reason: 'Over' }
  if (renewal.epoch !== lease.epoch) return { ok: false, reason: 'OtherEpoch' }
  const ask = memory.asks.find(({ nonce }) => nonce === renewal.nonce)
  if (ask === undefined) return { ok: false, reason: 'OtherNonce' }
  const ttlMs = lease.ttlSeconds * 1_000
  const inTimeMs = ask.sentMs + ttlMs * (workload === 'Train' ? timing.askAgainAfter : 1)
  if (now.monotonicMs >= inTimeMs) return { ok: false, reason: 'Late' }
  const deadlineMs = Math.max(memory.deadlineMs, ask.sentMs + ttlMs)
  return {
    ok: true,
    change: {
      lease: {
        ...withoutNonce(lease),
        renewals: lease.renewals + 1,
        expiresTime: dateTime(now.wallMs + Math.floor(deadlineMs - now.monotonicMs)),
      },
      memory: {
        deadlineMs,
        sinceMs: Math.max(memory.sinceMs, ask.sentMs),
        renewed: true,
        asks: memory.asks.filter(({ sentMs }) => sentMs > ask.sentMs),
      },
    },
  }
}

function withoutNonce({ nonce: _, ...lease }: ExecutorLease): ExecutorLease {
  return lease
}

export type LeaseStep = {
  readonly memory: ExecutorMemory
  /** The lease to write; absent when nothing changed. */
  readonly lease?: ExecutorLease
  /** Nonce of a RenewalAsk for the outbox, in the same write. */
  readonly ask?: string
  /** The lease is over: stop the work, then say Ended. */
  readonly ended?: 'LeaseExpired' | 'Cancelled'
  readonly mayRun: boolean
  /** When to look again, if nothing else happens. */
  readonly afterMs: number
}

/**
 * One look at a granted lease: cancel, expiry, renewal, then the next ask. Pure and repeatable: the same renewal twice changes
 * nothing. `memory` is undefined after a restart.
 */
export function stepLease(input: {
  workload: Workload
  lease: ExecutorLease
  memory: ExecutorMemory | undefined
  cancelled: boolean
  renewal: Pick<MessageOf<'Renewal'>, 'epoch' | 'nonce'> | undefined
  /** Fresh nonce; used only if a renewal is asked for. */
  nonce: string
  now: Now
  timing?: LeaseTiming
}): LeaseStep {
  const { workload, renewal, nonce, now, timing = leaseTiming } = input
  const before = input.memory ?? recoverLease(input.lease, now)
  const over = { memory: before, mayRun: false, afterMs: 0 }
  if (input.cancelled) return { ...over, ended: 'Cancelled' }
  if (isOver(before, now)) return { ...over, ended: 'LeaseExpired' }
  let change: LeaseChange = { lease: input.lease, memory: before }
  if (renewal !== undefined) {
    const taken = takeRenewal({ workload, lease: change.lease, memory: change.memory, renewal, now, timing })
    if (taken.ok) change = taken.change
  }
  if (askDueMs(change.lease, change.memory, now, timing) === 0) change = askRenewal({ ...change, nonce, now })
  const { lease, memory, ask } = change
  const leftMs = Math.ceil(memory.deadlineMs - now.monotonicMs)
  return {
    memory,
    ...(lease === input.lease ? {} : { lease }),
    ...(ask === undefined ? {} : { ask }),
    mayRun: mayRun(workload, memory, now),
    afterMs: Math.max(1, Math.min(leftMs, askDueMs(lease, memory, now, timing))),
  }
}
