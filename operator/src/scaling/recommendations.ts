/** The counts of workers that were asked for lately, of which scaling down needs the largest. */
export type Recommendations = {
  /** Adds what is asked for now. Times in seconds must not go back. */
  add(asked: number, at: number): void
  /** Something was missed: what is known begins anew. */
  reset(): void
  /** The largest of the last seconds; undefined while they are not known in whole. */
  peak(seconds: number, at: number): number | undefined
}

// More workers are never wanted; so this also bounds the memory.
const most = 1_000

/** Makes an empty record. It holds falling counts only: whatever was followed by a larger one can never be the largest again. */
export function createRecommendations(): Recommendations {
  const falling: { asked: number; at: number }[] = []
  let knownFrom: number | undefined

  return {
    add(asked, at) {
      knownFrom ??= at
      const next = Math.min(most, asked)
      while ((falling.at(-1)?.asked ?? Number.POSITIVE_INFINITY) <= next) falling.pop()
      falling.push({ asked: next, at })
    },
    reset() {
      falling.length = 0
      knownFrom = undefined
    },
    peak(seconds, at) {
      if (knownFrom === undefined || at - knownFrom < seconds) return undefined
      while (falling.length > 1 && (falling[0]?.at ?? at) < at - seconds) falling.shift()
      // A longer window later would miss what was let go here.
      knownFrom = Math.max(knownFrom, at - seconds)
      return falling[0]?.asked
    },
  }
}
