import type { Fault } from './fault.ts'
import type { RequestFacts } from './request-facts.ts'

/** One request that reached the proxy. */
export interface RequestRecord {
  readonly facts: RequestFacts
  /** Milliseconds since the epoch. */
  readonly at: number
  /** What the client was answered; undefined while it waits, or where it got no answer. */
  readonly status: number | undefined
  /** What the API server answered, where it was asked. */
  readonly upstreamStatus: number | undefined
  readonly fault: Fault['type'] | undefined
}

export type MutableRecord = { -readonly [Key in keyof RequestRecord]: RequestRecord[Key] }

type Filter = (facts: RequestFacts) => boolean

/** What a proxy has seen since its last reset. */
export interface Journal {
  readonly requests: (when?: Filter) => readonly RequestRecord[]
  /** Requests that counted as writes, in order of their index. */
  readonly writes: (when?: Filter) => readonly RequestRecord[]
  /** Counts by `USER-AGENT VERB RESOURCE`. */
  readonly counts: (when?: Filter) => Readonly<Record<string, number>>
  /** Counts of each minute since the reset, the running one last. */
  readonly perMinute: (when?: Filter) => readonly number[]
}

export interface JournalKeeper extends Journal {
  open(facts: RequestFacts): MutableRecord
  clear(): void
}

export function createJournal(now: () => number = Date.now): JournalKeeper {
  let records: MutableRecord[] = []
  let since = now()
  const requests = (when: Filter = () => true) => records.filter((record) => when(record.facts))
  return {
    requests,
    writes: (when) => requests(when).filter((record) => record.facts.writeIndex !== undefined),
    counts(when) {
      const counts: Record<string, number> = {}
      for (const { facts } of requests(when)) {
        const key = `${facts.userAgent} ${facts.verb} ${facts.resource || facts.path}`
        counts[key] = (counts[key] ?? 0) + 1
      }
      return counts
    },
    perMinute(when) {
      const minute = (at: number) => Math.floor((at - since) / 60_000)
      const counts = new Array<number>(minute(now()) + 1).fill(0)
      for (const { at } of requests(when)) counts[minute(at)] = (counts[minute(at)] ?? 0) + 1
      return counts
    },
    open(facts) {
      const record: MutableRecord = { facts, at: now(), status: undefined, upstreamStatus: undefined, fault: undefined }
      records.push(record)
      return record
    },
    clear() {
      records = []
      since = now()
    },
  }
}
