import { maxLineBytes } from '../export/export-line.ts'

/** Lines of a file or stream; undefined for one that is too long or, at the end, not ended. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array | undefined> {
  let held: Buffer[] = []
  let length = 0
  let isTooLong = false
  const take = () => {
    const line = isTooLong ? undefined : Buffer.concat(held)
    ;[held, length, isTooLong] = [[], 0, false]
    return line
  }
  for await (const chunk of chunks) {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10)) {
      if (length + end > maxLineBytes) isTooLong = true
      held.push(rest.subarray(0, end))
      yield take()
      rest = rest.subarray(end + 1)
    }
    length += rest.length
    if (length > maxLineBytes) [held, isTooLong] = [[], true]
    else if (rest.length > 0) held.push(rest)
  }
  if (length > 0) yield undefined
}
