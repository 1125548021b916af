/**
 * What a sink of results knows of one piece of work. It lives where the results are counted and is written in the same transaction, so
 * that a restore of one is a restore of the other.
 */
export type EpochFence = {
  /** Request (RemoteWork's uid) that the work is placed with now. */
  readonly requestId: string
  readonly attempt: number
  /** Highest epoch of that request that a result came with, or that an Answer told. */
  readonly epoch: number
  /** Rounds of training that were counted: 1 to this. */
  readonly round: number
}

/** A result of training as it comes: who made it, and for which round. */
export type TrainingResult = {
  readonly requestId: string
  readonly attempt: number
  readonly epoch: number
  readonly round: number
}

/** Who made an answer or a result. */
export type Origin = Omit<TrainingResult, 'round'>

export type OriginRefusal = 'OlderAttempt' | 'OtherRequest' | 'OlderEpoch'
export type FenceRefusal = OriginRefusal | 'Counted' | 'OutOfOrder'

/**
 * Turns the fence to a new placement, before its Request is released: results of every earlier attempt are refused from then on. An attempt
 * that is not newer is refused, unless it is the same request again.
 */
export function turnFence(
  fence: EpochFence | undefined,
  placement: { readonly requestId: string; readonly attempt: number },
): { ok: true; fence: EpochFence } | { ok: false; reason: 'OlderAttempt' | 'OtherRequest' } {
  if (fence === undefined) return { ok: true, fence: { ...placement, epoch: 0, round: 0 } }
  if (placement.attempt < fence.attempt) return { ok: false, reason: 'OlderAttempt' }
  if (placement.attempt === fence.attempt) {
    return placement.requestId === fence.requestId ? { ok: true, fence } : { ok: false, reason: 'OtherRequest' }
  }
  return { ok: true, fence: { ...placement, epoch: 0, round: fence.round } }
}

/** Raises the fence to an epoch that an Answer for the request told. */
export function raiseFence(
  fence: EpochFence,
  answer: { readonly requestId: string; readonly epoch: number },
): EpochFence {
  if (answer.requestId !== fence.requestId || answer.epoch <= fence.epoch) return fence
  return { ...fence, epoch: answer.epoch }
}

/** Why nothing of this origin may be taken any more; undefined when it may. */
export function refuseOrigin(fence: EpochFence | undefined, origin: Origin): OriginRefusal | undefined {
  if (fence === undefined) return 'OtherRequest'
  if (origin.attempt < fence.attempt) return 'OlderAttempt'
  if (origin.attempt !== fence.attempt || origin.requestId !== fence.requestId) return 'OtherRequest'
  return origin.epoch < fence.epoch ? 'OlderEpoch' : undefined
}

/**
 * Whether a result counts. Rounds count once each and in order, whichever attempt and epoch made them; a result for a round that was
 * counted can be acknowledged but adds nothing.
 */
export function judgeResult(
  fence: EpochFence | undefined,
  result: TrainingResult,
): { ok: true; fence: EpochFence } | { ok: false; reason: FenceRefusal } {
  const reason = refuseOrigin(fence, result)
  if (fence === undefined || reason !== undefined) return { ok: false, reason: reason ?? 'OtherRequest' }
  if (result.round <= fence.round) return { ok: false, reason: 'Counted' }
  if (result.round !== fence.round + 1) return { ok: false, reason: 'OutOfOrder' }
  return { ok: true, fence: { ...fence, epoch: result.epoch, round: result.round } }
}
