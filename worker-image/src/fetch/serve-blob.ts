import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { BlobStore } from './blob-store.ts'

const pieceBytes = 1 << 18

/**
 * Sends a blob or one range of it (RFC 9110 14). A whole blob is hashed on its way and its last piece kept back until the digest
 * is right: a copy that changed on disk ends in a broken connection, and `corrupted` is called.
 */
export async function serveBlob(
  request: IncomingMessage,
  response: ServerResponse,
  sha256: string,
  deps: { blobs: BlobStore; signal: AbortSignal; served: (bytes: number) => void; corrupted: () => Promise<void> },
): Promise<void> {
  const { handle, sizeBytes } = await deps.blobs.open(sha256)
  try {
    const range = parseRange(request.headers.range, sizeBytes)
    const common = { 'accept-ranges': 'bytes', etag: `"sha256:${sha256}"`, 'content-type': 'application/octet-stream' }
    if (range === 'unsatisfiable') {
      response.writeHead(416, { ...common, 'content-range': `bytes */${sizeBytes}`, 'content-length': 0 }).end()
      return
    }
    const { start, end } = range ?? { start: 0, end: sizeBytes }
    response.writeHead(range === undefined ? 200 : 206, {
      ...common,
      'content-length': end - start,
      ...(range === undefined ? {} : { 'content-range': `bytes ${start}-${end - 1}/${sizeBytes}` }),
    })
    if (request.method === 'HEAD') {
      response.end()
      return
    }
    const gone = new AbortController()
    response.on('close', () => gone.abort(new Error('the worker closed the connection')))
    const signal = AbortSignal.any([deps.signal, gone.signal])
    const hash = createHash('sha256')
    for (let position = start; position < end; ) {
      signal.throwIfAborted()
      const length = Math.min(pieceBytes, end - position)
      const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(length), 0, length, position)
      hash.update(buffer.subarray(0, bytesRead))
      position += bytesRead
      const whole = range === undefined && position >= end
      if (bytesRead === 0 || (whole && hash.digest('hex') !== sha256)) {
        response.destroy()
        await deps.corrupted()
        return
      }
      if (!response.write(buffer.subarray(0, bytesRead))) await once(response, 'drain', { signal })
      deps.served(bytesRead)
    }
    response.end()
  } finally {
    await handle.close()
  }
}

/** One range; undefined for the whole file, also for headers that RFC 9110 lets a server ignore. */
export function parseRange(
  header: string | undefined,
  size: number,
): { start: number; end: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '')
  if (match === null || (match[1] === '' && match[2] === '')) return undefined
  if (match[1] === '') {
    const last = Math.min(Number(match[2]), size)
    return last === 0 ? 'unsatisfiable' : { start: size - last, end: size }
  }
  const start = Number(match[1])
  const end = match[2] === '' ? size : Math.min(Number(match[2]) + 1, size)
  if (start >= size) return 'unsatisfiable'
  return end <= start ? undefined : { start, end }
}
