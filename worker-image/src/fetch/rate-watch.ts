import { FetchError } from './fetch-error.ts'

/**
 * Aborts a transfer that brings fewer than `minBytes` in a window of `seconds`: a source that trickles holds a place as surely
 * as one that is silent. Call `received` for each piece; `signal` aborts with FetchError `SourceStalled`.
 */
export function watchRate(options: { seconds: number; minBytes: number }): {
  signal: AbortSignal
  received(bytes: number): void
  stop(): void
} {
  const controller = new AbortController()
  let bytes = 0
  const timer = setInterval(() => {
    if (bytes < options.minBytes) {
      const message = `the source sent ${bytes} bytes in ${options.seconds} s`
      controller.abort(new FetchError('SourceStalled', message))
    }
    bytes = 0
  }, options.seconds * 1000)
  return {
    signal: controller.signal,
    received: (count) => {
      bytes += count
    },
    stop: () => clearInterval(timer),
  }
}
