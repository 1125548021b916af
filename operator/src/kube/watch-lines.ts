import { KubeApiError } from './api-error.ts'

/** Splits a stream of bytes into lines; a last line without its end is dropped, because it was cut off. */
export async function* watchLines(
  chunks: AsyncIterable<Buffer>,
  limitBytes: number,
  onActivity: () => void = () => undefined,
): AsyncGenerator<string> {
  let parts: Buffer[] = []
  let size = 0
  for await (const chunk of chunks) {
    onActivity()
    let from = 0
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      parts.push(chunk.subarray(from, end))
      const line = parts.length === 1 ? parts[0] : Buffer.concat(parts)
      parts = []
      size = 0
      from = end + 1
      if (line !== undefined && line.length > 0) yield line.toString('utf8')
    }
    if (from === chunk.length) continue
    parts.push(chunk.subarray(from))
    size += chunk.length - from
    if (size > limitBytes) {
      throw new KubeApiError({
        reason: 'ApiServerAnswerTooLarge',
        message: `an event of a watch is larger than ${limitBytes} bytes`,
        afterSeconds: 300,
      })
    }
  }
}
