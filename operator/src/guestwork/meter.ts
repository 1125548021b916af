/** When a guest's pod ran, RFC 3339; `end` is missing while it does. */
export type PodTime = { readonly uid: string; readonly start: string; readonly end?: string | undefined }

export type Metered = { readonly gpuSeconds: number; readonly meteredTime: string }

/**
 * GPU seconds up to `now`: what was counted before, and what each pod ran since then. All in whole seconds, so that nothing is lost or
 * counted twice wherever the time is cut; counting again from the same `before` gives the same.
 */
export function meter(before: Metered, pods: readonly PodTime[], gpusPerPod: number, now: number): Metered {
  const from = secondsOf(before.meteredTime)
  const until = Math.max(from, Math.floor(now / 1_000))
  let seconds = 0
  for (const { start, end } of pods) {
    const began = Math.max(from, secondsOf(start))
    const ended = end === undefined ? until : Math.min(until, secondsOf(end))
    seconds += Math.max(0, ended - began)
  }
  return {
    gpuSeconds: before.gpuSeconds + seconds * gpusPerPod,
    meteredTime: new Date(until * 1_000).toISOString(),
  }
}

/** Whether a pod began or ended since the last count: then it is written down. */
export function isMeterDue(before: Metered, pods: readonly PodTime[]): boolean {
  const from = secondsOf(before.meteredTime)
  return pods.some(({ start, end }) => secondsOf(start) > from || (end !== undefined && secondsOf(end) > from))
}

function secondsOf(time: string): number {
  return Math.floor(Date.parse(time) / 1_000)
}
