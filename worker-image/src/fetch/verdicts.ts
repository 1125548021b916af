import { createHash } from 'node:crypto'
import type { ModelRecord } from './model-record.ts'

/** Which models were judged safe to load since this process began, so that the same files are not decoded twice. */
export type Verdicts = {
  isSafe(request: ModelRecord['request']): boolean
  markSafe(request: ModelRecord['request']): void
}

/**
 * Remembers at most `max` verdicts, the latest used. A verdict depends on nothing but the bytes and how they are read: the digests of
 * all files, the format and the entrypoint. It counts within its namespace, so that how long a check takes tells nobody what others have.
 */
export function createVerdicts(max = 1000): Verdicts {
  const safe = new Set<string>()
  return {
    isSafe(request) {
      const key = keyOf(request)
      if (!safe.delete(key)) return false
      safe.add(key)
      return true
    },
    markSafe(request) {
      const key = keyOf(request)
      safe.delete(key)
      safe.add(key)
      for (const oldest of safe) {
        if (safe.size <= max) return
        safe.delete(oldest)
      }
    },
  }
}

function keyOf({ namespace, format, entrypoint, files }: ModelRecord['request']): string {
  const parts = files.map(({ path, sha256, sizeBytes }) => [path, sha256, sizeBytes] as const)
  parts.sort(([one], [other]) => (one < other ? -1 : 1))
  return createHash('sha256')
    .update(JSON.stringify([namespace, format, entrypoint ?? null, parts]))
    .digest('hex')
}
