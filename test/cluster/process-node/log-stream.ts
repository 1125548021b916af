import { open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

export interface LogOptions {
  /** Only the last lines; default all. */
  readonly tailLines?: number | undefined
  readonly limitBytes?: number | undefined
  /** While this holds, wait for more at the end. */
  readonly follow: () => boolean
  readonly signal: AbortSignal
}

const chunkBytes = 64 * 1024
const pollMilliseconds = 100

/** Reads a container's log from its file. */
export async function* readLog(path: string, options: LogOptions): AsyncGenerator<Buffer> {
  const file = await open(path)
  try {
    let position = options.tailLines === undefined ? 0 : await tailStart(path, options.tailLines)
    let left = options.limitBytes ?? Number.POSITIVE_INFINITY
    while (!options.signal.aborted && left > 0) {
      // Asked before reading, so that what was written before the end is not missed.
      const more = options.follow()
      const { bytesRead, buffer } = await file.read(Buffer.alloc(Math.min(chunkBytes, left)), { position })
      position += bytesRead
      left -= bytesRead
      if (bytesRead > 0) yield buffer.subarray(0, bytesRead)
      else if (!more) return
      else if ((await file.stat()).size < position) position = 0
      else await sleep(pollMilliseconds, undefined, { signal: options.signal }).catch(() => undefined)
    }
  } finally {
    await file.close()
  }
}

async function tailStart(path: string, lines: number): Promise<number> {
  const file = await open(path)
  try {
    const { size } = await file.stat()
    let position = size
    let newlines = 0
    while (position > 0) {
      const length = Math.min(chunkBytes, position)
      position -= length
      const { buffer } = await file.read(Buffer.alloc(length), 0, length, position)
      for (let index = length - 1; index >= 0; index--) {
        // The newline that ends the last line starts no other.
        if (buffer[index] !== 10 || position + index === size - 1) continue
        newlines++
        if (newlines === lines) return position + index + 1
      }
      if (lines === 0) return size
    }
    return 0
  } finally {
    await file.close()
  }
}
