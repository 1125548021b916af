/**
 * Runs work on every item, at most `most` at a time. The first failure aborts the signal that `start` was given and is thrown once
 * everything has ended, so that nothing goes on behind the caller's back.
 */
export async function eachAtOnce<T>(
  items: readonly T[],
  most: number,
  signal: AbortSignal,
  start: (stop: AbortSignal) => (item: T) => Promise<void>,
): Promise<void> {
  const failed = new AbortController()
  const work = start(AbortSignal.any([signal, failed.signal]))
  const waiting = [...items]
  let failure: { error: unknown } | undefined
  const runner = async () => {
    while (failure === undefined) {
      const item = waiting.shift()
      if (item === undefined) return
      try {
        await work(item)
      } catch (error) {
        failure ??= { error }
        failed.abort(new Error('another file of the model failed'))
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, runner))
  if (failure !== undefined) throw failure.error
}
