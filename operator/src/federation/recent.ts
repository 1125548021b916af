/** Values by the text that they follow from. */
export type Recent<V> = { get(text: string): V | undefined; add(text: string, value: V): void }

/** Keeps the values of the texts that were asked for last: so many, and of no longer texts. */
export function createRecent<V>({ entries, textLength }: { entries: number; textLength: number }): Recent<V> {
  const values = new Map<string, V>()
  return {
    get(text) {
      const value = values.get(text)
      if (value === undefined) return undefined
      values.delete(text)
      values.set(text, value)
      return value
    },
    add(text, value) {
      if (text.length > textLength) return
      values.set(text, value)
      for (const oldest of values.keys()) {
        if (values.size <= entries) return
        values.delete(oldest)
      }
    },
  }
}
