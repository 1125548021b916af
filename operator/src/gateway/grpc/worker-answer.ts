import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from 'node:http2'
import type { AttemptResult } from '../route/upstream.ts'
import { grpcCode } from './code.ts'

/** How a call at a worker ended: with a status, with a broken stream (`undefined`), or as something that is not gRPC. */
export type WorkerStatus = { code: number; message: string | undefined; retryPushbackMs: string | undefined }

export type WorkerAnswerHandler = {
  onData(chunk: Buffer): void
  /** Once. `invalid`: an answer that is not gRPC. */
  onEnd(status: WorkerStatus | undefined, invalid: boolean): void
}

/** Follows the answer of one call at a worker to its end. */
export function followAnswer(stream: ClientHttp2Stream, handler: WorkerAnswerHandler): void {
  let status: WorkerStatus | undefined
  let invalid = false
  stream.on('response', (headers, flags) => {
    const type = headers['content-type']
    if (headers[':status'] !== 200 || typeof type !== 'string' || !type.startsWith('application/grpc')) {
      invalid = true
      abandon(stream)
      return
    }
    if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) status = statusOf(headers)
    // Not before: Node may tell of bytes a tick before it tells of the head that they stand behind.
    stream.on('data', (chunk: Buffer) => handler.onData(chunk))
  })
  stream.on('trailers', (trailers) => {
    status = statusOf(trailers)
  })
  stream.on('error', () => undefined)
  stream.once('close', () => handler.onEnd(status, invalid))
}

/** Tells the worker that nobody wants its answer, and drops what of it has come: a paused stream would hold it for ever. */
export function abandon(stream: ClientHttp2Stream): void {
  stream.close(constants.NGHTTP2_CANCEL)
  stream.destroy()
}

/** What a worker's status says of its health. UNAVAILABLE is how one that drains or is not ready refuses. */
export function resultOfCode(code: number): AttemptResult {
  if (code === grpcCode.UNAVAILABLE) return 'draining'
  return code === grpcCode.INTERNAL || code === grpcCode.UNKNOWN || code === grpcCode.DATA_LOSS
    ? 'serverError'
    : 'answered'
}

function statusOf(headers: IncomingHttpHeaders): WorkerStatus | undefined {
  const code = Number(headers['grpc-status'] ?? Number.NaN)
  if (!Number.isInteger(code) || code < 0 || code > 16) return undefined
  const message = headers['grpc-message']
  const pushback = headers['grpc-retry-pushback-ms']
  return {
    code,
    message: typeof message === 'string' && /^[\x20-\x7e]{0,4096}$/.test(message) ? message : undefined,
    retryPushbackMs: typeof pushback === 'string' && /^-?\d{1,9}$/.test(pushback) ? pushback : undefined,
  }
}
