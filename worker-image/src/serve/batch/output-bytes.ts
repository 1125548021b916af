/** What rows of an answer take, learnt from runs, so that a batch's answer stays within what one answer may take. */
export type OutputBytes = { ran(key: string, rows: number, bytes: number): void; rowsThatFit(key: string): number }

const rememberedKeys = 256

/** Keeps the last figure of the 256 keys that were used last; a key that is not known fits any number of rows. */
export function createOutputBytes(maxBytes: number): OutputBytes {
  const perRow = new Map<string, number>()
  return {
    ran: (key, rows, bytes) => {
      perRow.delete(key)
      perRow.set(key, bytes / rows)
      const [oldest] = perRow.keys()
      if (perRow.size > rememberedKeys && oldest !== undefined) perRow.delete(oldest)
    },
    rowsThatFit: (key) => {
      const bytes = perRow.get(key)
      return bytes === undefined || bytes === 0 ? Number.POSITIVE_INFINITY : Math.floor(maxBytes / bytes)
    },
  }
}
