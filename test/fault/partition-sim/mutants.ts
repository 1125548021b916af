import type { LeaseStep } from '@hansa/operator/grant/executor.ts'
import { dateTime } from '@hansa/operator/grant/timing.ts'
import { type Protocol, protocol } from './protocol.ts'

export type Mutant = { readonly name: string; readonly protocol: Protocol }

const { timing, habits } = protocol

function mutant(name: string, change: Partial<Protocol>): Mutant {
  return { name, protocol: { ...protocol, ...change } }
}

function habit(name: string, change: Partial<Protocol['habits']>): Mutant {
  return mutant(name, { habits: { ...habits, ...change } })
}

type StepInput = Parameters<Protocol['stepLease']>[0]

/** A lease that lasts until `deadlineMs` of the executor's monotonic clock, whatever the protocol says. */
function lasting(input: StepInput, step: LeaseStep, deadlineMs: number): LeaseStep {
  const lease = step.lease ?? input.lease
  const expiresTime = dateTime(input.now.wallMs + deadlineMs - input.now.monotonicMs)
  return { ...step, memory: { ...step.memory, deadlineMs }, lease: { ...lease, expiresTime } }
}

/** Each breaks one rule of the protocol on purpose; the simulation must notice every one. */
export const mutants: readonly Mutant[] = [
  mutant('the executor counts the TTL from when a renewal arrives, not from when it was asked for', {
    stepLease(input) {
      const step = protocol.stepLease(input)
      const isRenewed = (step.lease?.renewals ?? 0) > input.lease.renewals
      return isRenewed ? lasting(input, step, input.now.monotonicMs + input.lease.ttlSeconds * 1_000) : step
    },
  }),
  mutant('the executor measures a lease by the wall clock', {
    stepLease(input) {
      if (input.memory === undefined) return protocol.stepLease(input)
      const deadlineMs = input.now.monotonicMs + Date.parse(input.lease.expiresTime) - input.now.wallMs
      return protocol.stepLease({ ...input, memory: { ...input.memory, deadlineMs } })
    },
  }),
  mutant('the executor does not look at the nonce of a renewal', {
    stepLease(input) {
      const nonce = input.memory?.asks.at(-1)?.nonce
      if (input.renewal === undefined || nonce === undefined) return protocol.stepLease(input)
      return protocol.stepLease({ ...input, renewal: { ...input.renewal, nonce } })
    },
  }),
  mutant('the executor does not let a lease expire', {
    stepLease(input) {
      const deadlineMs = input.now.monotonicMs + 3_600_000
      if (input.memory === undefined) return lasting(input, protocol.stepLease(input), deadlineMs)
      return protocol.stepLease({ ...input, memory: { ...input.memory, deadlineMs } })
    },
    habits: { ...habits, workersEnforce: false },
  }),
  mutant('a restarted executor lets Train go on without a renewal, for a whole TTL', {
    stepLease(input) {
      if (input.memory !== undefined) return protocol.stepLease(input)
      const step = protocol.stepLease(input)
      const deadlineMs = input.now.monotonicMs + input.lease.ttlSeconds * 1_000
      const memory = { ...step.memory, deadlineMs, renewed: true }
      return { memory, mayRun: true, afterMs: step.afterMs, ...(step.ask === undefined ? {} : { ask: step.ask }) }
    },
  }),
  mutant('Train begins with the grant, before the first renewal', {
    grantLease(input) {
      const change = protocol.grantLease(input)
      return { ...change, memory: { ...change.memory, renewed: true } }
    },
  }),
  mutant('the executor ends a lease when a renewal is late, long before its time', {
    stepLease(input) {
      const step = protocol.stepLease(input)
      const age = input.now.monotonicMs - step.memory.sinceMs
      return age > input.lease.ttlSeconds * 600 && step.ended === undefined ? { ...step, ended: 'LeaseExpired' } : step
    },
  }),
  mutant('the executor never asks again when an ask is lost', {
    stepLease: (input) => protocol.stepLease({ ...input, timing: { ...timing, askAgainAfter: 100 } }),
  }),
  mutant('the requester places elsewhere after the TTL, without drift', {
    timing: { ...timing, drift: 0 },
  }),
  mutant('the requester places elsewhere as soon as a lease is Uncertain', {
    leaseState(lease, memory, now, used) {
      const { state, afterMs } = protocol.leaseState(lease, memory, now, used)
      return state === 'Uncertain' ? { state: 'Ended', afterMs } : { state, afterMs }
    },
    mayReplace: () => ({ now: true }),
  }),
  mutant('a restarted requester counts from what it wrote long ago, and does not wait', {
    observe(status, memory, now) {
      if (memory !== undefined) return protocol.observe(status, memory, now)
      const fresh = protocol.observe(status, memory, now)
      return { ...fresh, signedMs: now.monotonicMs - 3_600_000 }
    },
    quietUntilMs: () => 0,
    mayReplace: (input) => protocol.mayReplace({ ...input, startMs: -10_000_000 }),
  }),
  mutant('a restarted requester places Train at once, though a restore may have hidden an attempt', {
    quietUntilMs: () => 0,
    takeAnswer: (input) => protocol.takeAnswer({ ...input, startMs: -10_000_000 }),
    mayReplace: (input) => protocol.mayReplace({ ...input, startMs: -10_000_000 }),
  }),
  mutant('the requester signs a renewal without a record of when', {
    signRenewal(input) {
      const signed = protocol.signRenewal(input)
      if (!signed.ok || input.status.lease === undefined) return signed
      const { signedMs, signedTime } = input.memory
      return { ...signed, lease: input.status.lease, memory: { ...signed.memory, signedMs, signedTime } }
    },
  }),
  mutant('the requester signs for work that it gave up', {
    signRenewal(input) {
      const { lease } = input.status
      if (lease?.state !== 'Ended') return protocol.signRenewal(input)
      const status = { ...input.status, lease: { ...lease, epoch: input.ask.epoch, state: 'Active' as const } }
      return protocol.signRenewal({ ...input, status, memory: { ...input.memory, signedMs: input.now.monotonicMs } })
    },
  }),
  mutant('the requester believes a grant for work that it gave up', {
    takeAnswer(input) {
      const { lease } = input.status
      if (lease?.state !== 'Ended') return protocol.takeAnswer(input)
      return protocol.takeAnswer({ ...input, status: { ...input.status, lease: { ...lease, state: 'Active' } } })
    },
  }),
  mutant('the requester takes answers in any order, of any epoch', {
    takeAnswer(input) {
      const { answer: _, lease, ...status } = input.status
      const older = lease !== undefined && { ...lease, epoch: Math.min(lease.epoch, input.answer.lease?.epoch ?? 0) }
      return protocol.takeAnswer({ ...input, status: { ...status, ...(older && { lease: older }) } })
    },
  }),
  mutant('the fence takes results of any attempt and epoch', {
    refuseOrigin: () => undefined,
    judgeResult(fence, result) {
      if (fence === undefined) return protocol.judgeResult(fence, result)
      const { requestId, attempt, epoch } = result
      return protocol.judgeResult({ ...fence, requestId, attempt, epoch }, result)
    },
  }),
  mutant('the fence does not know which rounds were counted', {
    judgeResult(fence, result) {
      if (fence === undefined) return protocol.judgeResult(fence, result)
      return protocol.judgeResult({ ...fence, round: result.round - 1 }, result)
    },
  }),
  habit('the epoch is said before it is durable', { epochIsDurable: false }),
  mutant('an executor grants after a restart without a confirmation', {
    judgeConfirmation({ asks, known }) {
      if (known.confirmedNonce === asks) return { state: 'Confirmed' }
      const { epoch = 0, incarnation = 0 } = known
      return { state: 'New', restored: false, incarnation, epoch, confirmedNonce: asks }
    },
  }),
  mutant('a confirmation of an earlier start counts', {
    judgeConfirmation(input) {
      const answers = input.heard?.answers === undefined ? undefined : input.asks
      const { asks, known, heard } = input
      if (known.confirmedNonce === asks) return { state: 'Confirmed' }
      if (heard === undefined || answers === undefined) return { state: 'AwaitingConfirmation' }
      const { epoch = 0, incarnation = 0 } = known
      return {
        state: 'New',
        restored: false,
        incarnation: Math.max(incarnation, heard.incarnation),
        epoch: Math.max(epoch, heard.epoch),
        confirmedNonce: asks,
      }
    },
  }),
  mutant('sequences begin again after a restore', {
    nextSequence: (last) => protocol.nextSequence(last, {}),
  }),
  habit('a peer that comes back ends what ran', { endsOnReconnect: true }),
  habit('deletion waits until the peer knows', { deletionWaitsForPeer: true }),
  habit('a deleted work is not cancelled', { sendsCancel: false }),
  habit('the executor does not take a cancel', { takesCancel: false }),
  habit('the executor says Ended while workers still run', { saysEndedEarly: true }),
  habit('giving up is not written down', { givesUpDurably: false }),
  habit('workers do not stop themselves', { workersEnforce: false }),
  mutant('a tombstone waits for a dead peer for ever', {
    tombstoneExpires: () => dateTime(Date.UTC(2100, 0, 1)),
  }),
]
