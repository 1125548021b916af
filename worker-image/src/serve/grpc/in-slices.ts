import { setImmediate as turn } from 'node:timers/promises'

/**
 * Runs work that yields now and then to its end, letting the event loop turn at each yield, so that a message of many
 * megabytes does not keep other requests waiting. Rejects with the signal's reason when it aborts in between.
 */
export async function inSlices<T>(work: Generator<void, T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
    await turn()
    signal.throwIfAborted()
  }
}
