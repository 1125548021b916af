import { setTimeout as sleep } from 'node:timers/promises'

/** Repeats an assertion until it holds, and throws its last failure when it does not in time. */
export async function eventually<T>(assertion: () => T | Promise<T>, timeoutSeconds = 15): Promise<T> {
  const deadline = Date.now() + timeoutSeconds * 1_000
  for (;;) {
    try {
      return await assertion()
    } catch (error) {
      if (Date.now() > deadline) throw error
      await sleep(100)
    }
  }
}
