import { tokenBuckets } from '../identity/token-buckets.ts'
import type { Logger } from '../process/log.ts'
import type { LinkMetrics } from './metrics.ts'

/** Something that was not taken: why, whose (a peer's name, or an address for strangers), and what it was. */
export type Refused = { reason: string; peer?: string; address?: string; what: string; message?: string }
export type Refusals = { refused(refused: Refused): void }

/** Every refusal is counted; of many of one kind and sender only some are logged, with how many were left out. */
export function createRefusals(deps: { log: Logger; metrics: LinkMetrics }): Refusals {
  const lines = tokenBuckets({ burst: 20, perSecond: 0.5, maxKeys: 1000 })
  const leftOut = new Map<string, number>()
  return {
    refused(refused) {
      deps.metrics.refused(refused.reason)
      const key = `${refused.reason} ${refused.peer ?? refused.address ?? ''}`
      if (lines.take(key) > 0) {
        if (leftOut.size > 1000) leftOut.clear()
        leftOut.set(key, (leftOut.get(key) ?? 0) + 1)
        return
      }
      const unlogged = leftOut.get(key) ?? 0
      leftOut.delete(key)
      deps.log.warn({ ...refused, message: undefined, detail: refused.message, unlogged }, 'refused')
    },
  }
}
