import type { RequestFacts } from './request-facts.ts'

export interface RecordedAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[]>>
  readonly body: Buffer
}

/** Lists as they were at some instant; a list that was first asked for later, as it was then. */
export interface ListSnapshot {
  get(facts: RequestFacts): RecordedAnswer | undefined
}

/** Keeps the latest answer to every list, so that an old one can be served. */
export interface ListMemory {
  remember(facts: RequestFacts, answer: RecordedAnswer): void
  snapshot(): ListSnapshot
  clear(): void
}

export function createListMemory(): ListMemory {
  let latest = new Map<string, RecordedAnswer>()
  let snapshots: Map<string, RecordedAnswer>[] = []
  return {
    remember(facts, answer) {
      const key = listKey(facts)
      if (key === undefined || answer.status !== 200) return
      latest.set(key, answer)
      for (const snapshot of snapshots) if (!snapshot.has(key)) snapshot.set(key, answer)
    },
    snapshot() {
      const snapshot = new Map(latest)
      snapshots.push(snapshot)
      return {
        get(facts) {
          const key = listKey(facts)
          return key === undefined ? undefined : snapshot.get(key)
        },
      }
    },
    clear() {
      latest = new Map()
      snapshots = []
    },
  }
}

/** What makes two lists the same question; undefined for later pages, which are of no use alone. */
function listKey(facts: RequestFacts): string | undefined {
  if (!facts.isList || facts.query.has('continue')) return undefined
  const selectors = ['labelSelector', 'fieldSelector'].map((name) => facts.query.get(name) ?? '')
  return JSON.stringify([facts.path, ...selectors, facts.accept])
}
