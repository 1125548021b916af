import { setTimeout as sleep } from 'node:timers/promises'

/** Waits until something holds; errors count as not yet. Throws with what was waited for. */
export async function until(what: string, seconds: number, holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + seconds * 1000
  let last = ''
  while (performance.now() < end) {
    try {
      if (await holds()) return
    } catch (error) {
      last = error instanceof Error ? `: ${error.message}` : ''
    }
    await sleep(100)
  }
  throw new Error(`not within ${seconds} s: ${what}${last}`)
}
