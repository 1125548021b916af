import type { RemoteWork, ToRequester } from '../api/remote-work.ts'
import type { MessageProblem, OpenMessage } from '../federation/federation.ts'
import type { MessageOf } from '../federation/messages.ts'
import { heard, leaseState, signRenewal, takeAnswer } from '../grant/requester.ts'
import type { Now } from '../grant/timing.ts'
import type { Counterpart } from './counterpart.ts'
import { type Draft, sooner } from './draft.ts'

type Ready = Extract<Counterpart, { state: 'Ready' }>

export type HearDeps = {
  openMessage: OpenMessage
  now: Now
  /** Monotonic time of the start of this process. */
  startMs: number
  /** A message in the inbox that is not the peer's word to us. */
  onProblem: (kind: ToRequester, problem: MessageProblem) => void
}

/** What to say after hearing. */
export type Reply = { renewal?: { epoch: number; nonce: string; ttlSeconds: number }; cancel?: string }

/** Takes what the peer said about the request, as the rules of leases have it (`operator/src/grant`), and returns what to say. */
export function hear(work: RemoteWork, draft: Draft, requestSha256: string, from: Ready, deps: HearDeps): Reply {
  const reply: Reply = {}
  const message = <K extends ToRequester>(kind: K) => open(work, kind, from, deps)
  const answer = message('Answer')
  if (answer !== undefined) {
    const unwanted = hearAnswer(work, draft, answer, requestSha256, deps)
    if (unwanted) reply.cancel = 'it was given up'
  }
  const ask = message('RenewalAsk')
  if (ask !== undefined && reply.cancel === undefined) {
    const signed = signRenewal({ status: draft, memory: draft.memory.requester, ask, now: deps.now })
    if (signed.ok) {
      draft.lease = signed.lease
      draft.memory = { ...draft.memory, requester: signed.memory }
      reply.renewal = { ...signed.renewal, ttlSeconds: signed.lease.ttlSeconds }
    }
  }
  const report = message('Report')
  if (report !== undefined) hearReport(draft, report, deps)
  return reply
}

function open<K extends ToRequester>(
  { metadata, status }: RemoteWork,
  kind: K,
  { peer, ownBundle }: Ready,
  { openMessage, now, onProblem }: HearDeps,
): MessageOf<K> | undefined {
  const envelope = status?.inbox?.find((entry) => entry.kind === kind)?.envelope
  if (envelope === undefined) return undefined
  // The link took it in time; read late, after a restart, it still holds.
  const opened = openMessage(kind, envelope, { peer, ownBundle, now: now.wallMs, ignoreExpiry: true })
  if (!opened.ok) {
    onProblem(kind, opened.problem)
    return undefined
  }
  if (opened.message.requestId === metadata.uid) return opened.message
  onProblem(kind, { reason: 'WrongAudience', message: 'it is about another request' })
  return undefined
}

/** Returns whether the peer grants what was given up. */
function hearAnswer(
  work: RemoteWork,
  draft: Draft,
  answer: MessageOf<'Answer'>,
  requestSha256: string,
  { now, startMs }: HearDeps,
): boolean {
  const taken = takeAnswer({
    work: work.spec.work,
    status: draft,
    memory: draft.memory.requester,
    answer,
    requestSha256,
    startMs,
    now,
  })
  if (taken.ok) {
    draft.answer = taken.answer
    if (taken.lease !== undefined) draft.lease = taken.lease
    draft.memory = { ...draft.memory, requester: taken.memory }
    return false
  }
  if (taken.reason === 'Deferred' && taken.afterMs !== undefined) sooner(draft, taken.afterMs)
  return taken.reason === 'Unwanted'
}

function hearReport(draft: Draft, report: MessageOf<'Report'>, { now }: HearDeps): void {
  if (report.epoch !== draft.lease?.epoch || report.sequence < draft.memory.reportSequence) return
  draft.replicas = report.replicas
  draft.readyReplicas = report.readyReplicas
  // Of several reports only the newest is kept; what was metered never becomes less.
  draft.gpuSeconds = Math.max(draft.gpuSeconds ?? 0, report.gpuSeconds)
  draft.reported = { reason: report.reason, message: report.message }
  const { reportSequence, requester } = draft.memory
  if (report.sequence > reportSequence) {
    draft.memory = { reportSequence: report.sequence, requester: heard(requester, now) }
  }
}

/** Lets time pass over the lease. */
export function passTime(draft: Draft, now: Now): void {
  const { lease } = draft
  if (lease === undefined) return
  const { state, afterMs } = leaseState(lease, draft.memory.requester, now)
  if (state !== lease.state) draft.lease = { ...lease, state }
  sooner(draft, afterMs)
}
