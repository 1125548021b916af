import { setTimeout as sleep } from 'node:timers/promises'

/** Asks again and again until `check` gives something, or throws with what it last said. */
export async function eventually<T>(
  what: string,
  check: () => Promise<T | undefined>,
  options: { seconds?: number; everyMilliseconds?: number } = {},
): Promise<T> {
  const { seconds = 60, everyMilliseconds = 250 } = options
  const deadline = performance.now() + seconds * 1000
  let last = 'it never held'
  for (;;) {
    try {
      const found = await check()
      if (found !== undefined) return found
    } catch (error) {
      last = error instanceof Error ? error.message : String(error)
    }
    if (performance.now() > deadline) throw new Error(`${what}: not within ${seconds} s: ${last}`)
    await sleep(everyMilliseconds)
  }
}
