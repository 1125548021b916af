/** Rows of one run: which texts, and how many tokens each row is padded to. */
export type Batch = { readonly texts: readonly number[]; readonly length: number }

export type BatchLimits = {
  readonly mostRows: number
  /** Rows times padded length of one run; a single row may exceed it. */
  readonly mostTokens: number
  /** No row is padded beyond it. */
  readonly maxTokens: number
  readonly fixedLength: number | undefined
  /** False where the graph cannot tell padding from tokens: only texts of the same length share a run. */
  readonly pads: boolean
}

/**
 * Length that a text of `tokens` is padded to: a multiple of 16, and above 128 of an eighth of the next power of two, so that
 * texts of many lengths meet in a few shapes and at most a fifth of a long row is padding.
 */
export function paddedLength(tokens: number, maxTokens: number): number {
  const step = Math.max(16, 2 ** Math.ceil(Math.log2(tokens)) / 8)
  return Math.min(maxTokens, Math.ceil(tokens / step) * step)
}

/**
 * Puts texts of like padded length together, shortest first; every text is in exactly one batch. Texts of unlike length do not
 * share a run: the padding would cost more than the sharing saves.
 */
export function planBatches(lengths: ArrayLike<number>, limits: BatchLimits): Batch[] {
  const byLength = new Map<number, number[]>()
  for (let text = 0; text < lengths.length; text++) {
    const tokens = lengths[text] ?? 0
    const padded = limits.pads ? paddedLength(tokens, limits.maxTokens) : tokens
    const length = limits.fixedLength ?? padded
    const texts = byLength.get(length)
    if (texts === undefined) byLength.set(length, [text])
    else texts.push(text)
  }
  const sorted = [...byLength].sort(([a], [b]) => a - b)
  return sorted.flatMap(([length, texts]) => {
    const rows = Math.max(1, Math.min(limits.mostRows, Math.floor(limits.mostTokens / length)))
    const batches: Batch[] = []
    for (let at = 0; at < texts.length; at += rows) batches.push({ texts: texts.slice(at, at + rows), length })
    return batches
  })
}
