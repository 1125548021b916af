import type { Clock } from './clock.ts'

/** A signal that ends with `parent` or after a time; `clear` it when the work is done. */
export type Deadline = {
  readonly signal: AbortSignal
  /** Whether it was the time that ended it. */
  expired(): boolean
  remainingMilliseconds(): number
  clear(): void
}

/** Starts a deadline. Unlike AbortSignal.any and .timeout it leaves nothing behind on a long-lived parent, and takes a clock. */
export function startDeadline(clock: Clock, parent: AbortSignal, milliseconds: number): Deadline {
  const controller = new AbortController()
  const endsAt = clock.monotonic() + milliseconds
  let expired = false
  const onParent = () => controller.abort(parent.reason)
  if (parent.aborted) onParent()
  else parent.addEventListener('abort', onParent, { once: true })
  const cancel = clock.after(milliseconds, () => {
    expired = !controller.signal.aborted
    controller.abort(new DOMException(`no answer within ${milliseconds} ms`, 'TimeoutError'))
  })
  return {
    signal: controller.signal,
    expired: () => expired,
    remainingMilliseconds: () => Math.max(0, endsAt - clock.monotonic()),
    clear() {
      cancel()
      parent.removeEventListener('abort', onParent)
    },
  }
}

/** Waits for work that takes no signal, no longer than the signal lets it. */
export async function abortable<R>(work: Promise<R>, signal: AbortSignal): Promise<R> {
  signal.throwIfAborted()
  let onAbort = () => {}
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
