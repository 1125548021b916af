import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { parseRange } from '../fetch/serve-blob.ts'
import type { Filling } from './filling.ts'

const pieceBytes = 1 << 18

/** Sends a file or one range of it while it comes in. Should the filling fail, the connection breaks: the worker goes elsewhere. */
export async function serveFilling(
  request: IncomingMessage,
  response: ServerResponse,
  sha256: string,
  filling: Filling,
  deps: { signal: AbortSignal; served: (bytes: number) => void },
): Promise<void> {
  const { sizeBytes } = filling
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
  response.flushHeaders()
  const gone = new AbortController()
  response.on('close', () => gone.abort(new Error('the worker closed the connection')))
  const signal = AbortSignal.any([deps.signal, gone.signal])
  for (let position = start; position < end; ) {
    const piece = await filling.read(position, Math.min(pieceBytes, end - position), signal)
    position += piece.length
    if (!response.write(piece)) await once(response, 'drain', { signal })
    deps.served(piece.length)
  }
  response.end()
}
