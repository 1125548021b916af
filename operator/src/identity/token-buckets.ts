/**
 * One token bucket a key. `take` returns 0 when a token was there, else the seconds until one is. The keys used longest ago are
 * forgotten beyond `maxKeys`, so strangers cannot grow the table.
 */
export function tokenBuckets(limits: {
  burst: number
  perSecond: number
  maxKeys: number
  /** Milliseconds, monotonic. */
  clock?: () => number
}): { take(key: string): number } {
  const { burst, perSecond, maxKeys, clock = () => performance.now() } = limits
  const buckets = new Map<string, { tokens: number; at: number }>()
  return {
    take(key) {
      const now = clock()
      const known = buckets.get(key) ?? { tokens: burst, at: now }
      const tokens = Math.min(burst, known.tokens + ((now - known.at) / 1000) * perSecond)
      const enough = tokens >= 1
      buckets.delete(key) // and set again: a Map keeps the order of insertion, so the first key is the oldest
      buckets.set(key, { tokens: enough ? tokens - 1 : tokens, at: now })
      for (const oldest of buckets.keys()) {
        if (buckets.size <= maxKeys) break
        buckets.delete(oldest)
      }
      return enough ? 0 : (1 - tokens) / perSecond
    },
  }
}
