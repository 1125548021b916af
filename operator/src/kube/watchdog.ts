import type { Clock } from './clock.ts'

/** Ends a signal when nobody has patted the dog for a while. */
export type Watchdog = {
  readonly signal: AbortSignal
  pat(): void
  /** Whether it was the silence that ended the signal. */
  barked(): boolean
  stop(): void
}

/** Starts a watchdog whose signal also ends with `parent`. */
export function createWatchdog(clock: Clock, parent: AbortSignal, silenceMilliseconds: number): Watchdog {
  const controller = new AbortController()
  let pattedAt = clock.monotonic()
  let barked = false
  let cancel = () => {}
  const onParent = () => controller.abort(parent.reason)
  if (parent.aborted) onParent()
  else parent.addEventListener('abort', onParent, { once: true })

  // One timer that looks when it is due is cheaper than a new timer for each bunch of bytes.
  function arm(milliseconds: number): void {
    cancel = clock.after(milliseconds, () => {
      const left = silenceMilliseconds - (clock.monotonic() - pattedAt)
      if (left > 0) return arm(left)
      barked = !controller.signal.aborted
      controller.abort(new DOMException(`nothing heard for ${silenceMilliseconds} ms`, 'TimeoutError'))
    })
  }
  arm(silenceMilliseconds)

  return {
    signal: controller.signal,
    pat() {
      pattedAt = clock.monotonic()
    },
    barked: () => barked,
    stop() {
      cancel()
      parent.removeEventListener('abort', onParent)
    },
  }
}
