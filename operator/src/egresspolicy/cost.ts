import type { Work } from '../api/remote-work.ts'
import { parseQuantity } from '../kube/quantity.ts'

const billion = 1_000_000_000n

/** GPUs of one worker. Every extended resource counts as GPUs, so that an unknown name never makes work look free. */
export function gpusOf(resources: Work['resources']): number {
  const limits = Object.entries(resources.limits ?? {}).filter(([name]) => name.includes('/'))
  const total = limits.reduce((sum, [, quantity]) => sum + (parseQuantity(quantity) ?? 0n), 0n)
  return Number((total + billion - 1n) / billion)
}

/** The most that the work can cost in 24 hours, in millionths of its currency: every worker there all the time, at the highest price. */
export function worstMicrosPerDay(work: Pick<Work, 'replicas' | 'resources' | 'maxPrice'>): number {
  return work.replicas * gpusOf(work.resources) * (work.maxPrice?.microsPerGPUHour ?? 0) * 24
}
