import type { RemoteWork } from '../api/remote-work.ts'

/** That a place took no more, until when it is not asked for more, and how long that pause was. */
type Entry = { atMost: number; reasons: readonly string[]; until: number; pauseMs: number; seen: Set<string> }

export type Refusals = {
  /** Takes notice of what failed at a place that has `granted` workers; the same failure counts once. */
  note(key: string, failed: readonly { id: string; reasons: readonly string[] }[], granted: number, now: number): void
  /** What the place is not to be asked for more than, while its pause lasts. */
  at(key: string, now: number): { atMost: number; reasons: readonly string[]; until: number } | undefined
  /** Forgets all of a service. */
  forget(prefix: string): void
  readonly size: number
}

const firstPauseMs = 30_000
const longestPauseMs = 3_600_000
const mostSeen = 64

/**
 * Remembers who refused, so that nobody is asked for the same again before a pause that doubles each time. It is lost with the process;
 * what still stands refused is found in RemoteWorks, and begins with the first pause.
 */
export function createRefusals(): Refusals {
  const entries = new Map<string, Entry>()
  return {
    note(key, failed, granted, now) {
      const before = entries.get(key)
      // It took more than it would: what was, is no guide any more.
      if (before !== undefined && granted > before.atMost) entries.delete(key)
      const known = entries.get(key)
      const fresh = failed.filter(({ id }) => known?.seen.has(id) !== true)
      if (fresh.length === 0) return
      const pauseMs = Math.min(longestPauseMs, known === undefined ? firstPauseMs : known.pauseMs * 2)
      const seen = new Set([...(known?.seen ?? []), ...fresh.map(({ id }) => id)].slice(-mostSeen))
      const reasons = [...new Set(fresh.flatMap((each) => each.reasons))].slice(0, 8)
      entries.set(key, { atMost: granted, reasons, until: now + pauseMs, pauseMs, seen })
    },
    at(key, now) {
      const entry = entries.get(key)
      return entry === undefined || now >= entry.until ? undefined : entry
    },
    forget(prefix) {
      for (const key of entries.keys()) if (key.startsWith(prefix)) entries.delete(key)
    },
    get size() {
      return entries.size
    },
  }
}

/** By which a failure is known. */
export function failureId({ metadata, status }: RemoteWork): string {
  return `${metadata.uid ?? metadata.name} ${status?.answer?.sequence ?? 0}`
}
