/** A generator of numbers that a seed fixes (mulberry32), so that a run can be had again. */
export type Random = {
  /** From 0 to `below` - 1. */
  below(below: number): number
  pick<T>(from: readonly T[]): T
  bytes(count: number): Buffer
}

export function randomOf(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  const below = (limit: number) => next() % limit
  return {
    below,
    pick: (from) => {
      const found = from[below(from.length)]
      if (found === undefined) throw new Error('nothing to pick from')
      return found
    },
    bytes: (count) => Buffer.from(Array.from({ length: count }, () => below(256))),
  }
}
