import type { RemoteWork, RemoteWorkStatus, ToExecutor } from '../api/remote-work.ts'
import type { RequesterMemory } from '../grant/requester.ts'

/** What this process remembers of one RemoteWork; a restart forgets it. */
export type Memory = {
  requester: RequesterMemory
  /** Sequence of the newest Report that was taken. */
  reportSequence: number
}

/** How the workers are, by the peer's newest word. */
export type Reported = { reason: string; message: string }

/** The status that a reconcile is about to write, but for the conditions. */
export type Draft = Pick<
  RemoteWorkStatus,
  'outbox' | 'egressPolicyName' | 'answer' | 'lease' | 'replicas' | 'readyReplicas' | 'gpuSeconds'
> & {
  memory: Memory
  reported?: Reported
  /** Look again then, in milliseconds. */
  afterMs: number
}

/** Begins with what stands there. */
export function draftOf({ status }: RemoteWork, memory: Memory): Draft {
  const { outbox, egressPolicyName, answer, lease, replicas, readyReplicas, gpuSeconds } = status ?? {}
  return {
    ...(outbox !== undefined && { outbox }),
    ...(egressPolicyName !== undefined && { egressPolicyName }),
    ...(answer !== undefined && { answer }),
    ...(lease !== undefined && { lease }),
    ...(replicas !== undefined && { replicas }),
    ...(readyReplicas !== undefined && { readyReplicas }),
    ...(gpuSeconds !== undefined && { gpuSeconds }),
    memory,
    afterMs: Number.POSITIVE_INFINITY,
  }
}

export function sooner(draft: Draft, afterMs: number): void {
  draft.afterMs = Math.min(draft.afterMs, Math.max(1, afterMs))
}

/** Puts a message in the place of the one of its kind. */
export function post(draft: Draft, kind: ToExecutor, sequence: number, envelope: string): void {
  draft.outbox = [...(draft.outbox ?? []).filter((entry) => entry.kind !== kind), { kind, sequence, envelope }]
}

export function sequenceOf(draft: Draft, kind: ToExecutor): number | undefined {
  return draft.outbox?.find((entry) => entry.kind === kind)?.sequence
}
