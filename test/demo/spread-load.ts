import type { DigitsClient } from './ask.ts'
import { heldOutDigits } from './ask.ts'
import { eventually } from './wait.ts'

const lanes = 8

/** Load on a service at several owners; it counts who answered, and every answer that is not 200. */
export type SpreadLoad = {
  /** Waits until each of these owners has answered something that was asked after now; returns how often who did. */
  answeredBy(owners: readonly string[], seconds?: number): Promise<string>
  /** Ends the load; throws if a request failed. */
  stop(): Promise<number>
}

/** Asks on several connections at once, each one request after the other. */
export function startSpreadLoad(client: DigitsClient, url: string): SpreadLoad {
  let stopped = false
  let sent = 0
  let watched = new Map<string, number>()
  const failures: string[] = []
  const lane = async () => {
    const samples = await heldOutDigits()
    while (!stopped) {
      const since = watched
      sent += 1
      const answer = await client
        .ask(url, samples.slice(0, 4))
        .catch((error: unknown) => ({ status: 0, error: String(error), owner: '' }))
      const { status, error, owner = '' } = answer
      if (status === 200) since.set(owner, (since.get(owner) ?? 0) + 1)
      else failures.push(`${status} ${error} (${owner})`)
    }
  }
  const all = Promise.all(Array.from({ length: lanes }, lane))
  return {
    async answeredBy(owners, seconds = 60) {
      const since = new Map<string, number>()
      watched = since
      const seen = () => [...since].map(([owner, count]) => `${owner} ${count}`).join(', ')
      return eventually(
        `answers of ${owners.join(', ')}`,
        async () => {
          if (owners.every((owner) => since.has(owner))) return seen()
          throw new Error(`${seen()}; ${failures.length} failed, first: ${failures[0]}`)
        },
        { seconds },
      )
    },
    async stop() {
      stopped = true
      await all
      if (failures.length > 0) throw new Error(`${failures.length} of ${sent} requests failed, first: ${failures[0]}`)
      return sent
    },
  }
}
