import type { RequestRecord } from '../../cluster/fault-proxy/journal.ts'
import type { RequestFacts } from '../../cluster/fault-proxy/request-facts.ts'

/** One measure with the aim that it is held against. */
export type Measure = { readonly what: string; readonly value: number; readonly unit: string; readonly atMost: number }

export const pause = (milliseconds: number) => new Promise<void>((done) => setTimeout(done, milliseconds))

/** Seconds until `check` is true; throws after `limitSeconds` with what `check` last complained of. */
export async function secondsUntil(
  what: string,
  check: () => Promise<string | undefined>,
  limitSeconds: number,
): Promise<number> {
  const began = performance.now()
  for (;;) {
    const complaint = await check().catch((thrown: unknown) => String(thrown))
    const seconds = (performance.now() - began) / 1_000
    if (complaint === undefined) return seconds
    if (seconds > limitSeconds) throw new Error(`${what}: not within ${limitSeconds} s: ${complaint}`)
    await pause(100)
  }
}

/** The elected leader's renewals and its rivals' looks at the lease. */
export const isElection = (facts: RequestFacts) => facts.resource === 'leases'

export const isWrite = (facts: RequestFacts) =>
  ['create', 'update', 'patch', 'delete', 'deletecollection'].includes(facts.verb) && !isElection(facts)

/** The most requests within any 60 s. */
export function busiestMinute(records: readonly RequestRecord[]): number {
  let most = 0
  let from = 0
  records.forEach(({ at }, index) => {
    while (at - (records[from]?.at ?? at) >= 60_000) from++
    most = Math.max(most, index - from + 1)
  })
  return most
}

/**
 * The longest time from a watch that was answered 410 to the list of the same resource that followed, in seconds. The API
 * server answers so inside of a watch, hence any watch with a list after it counts.
 */
export function slowestRelist(records: readonly RequestRecord[]): { count: number; seconds: number } {
  let count = 0
  let seconds = 0
  const watchedAt = new Map<string, number>()
  for (const { facts, at, status } of records) {
    if (facts.isWatch && status !== undefined) watchedAt.set(facts.resource, at)
    const since = watchedAt.get(facts.resource)
    if (!facts.isList || since === undefined) continue
    watchedAt.delete(facts.resource)
    count++
    seconds = Math.max(seconds, (at - since) / 1_000)
  }
  return { count, seconds }
}

/** How a measure reads in a report. */
export function describe({ what, value, unit, atMost }: Measure): string {
  const shown = Number.isInteger(value) ? String(value) : value.toFixed(1)
  return `${what}: ${shown}${unit === '' ? '' : ` ${unit}`} (at most ${atMost})${value <= atMost ? '' : ' FALLS SHORT'}`
}
