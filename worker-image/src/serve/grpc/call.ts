import { randomUUID } from 'node:crypto'
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { messagePrefix } from './message-splitter.ts'
import { trailersOf, type Verdict } from './status.ts'
import type { WireWriter } from './wire-writer.ts'

const lingerMs = 2_000
/** A client that has not taken all of an answer after this is cut off. */
const takeMs = 60_000
/** Up to this a copy costs less than writing the pieces one by one. */
const smallBytes = 16 << 10

/** One call on an HTTP/2 stream: what comes back of its metadata, its messages, and its end. */
export class GrpcCall {
  readonly stream: ServerHttp2Stream
  readonly headers: IncomingHttpHeaders
  readonly requestId: string
  readonly traceparent: string | undefined
  /** The status that ended it; undefined before. */
  code: number | undefined

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
    this.stream = stream
    this.headers = headers
    const { traceparent } = headers
    const given = headers['x-request-id']
    this.requestId = typeof given === 'string' && /^[\x21-\x7e]{1,128}$/.test(given) ? given : randomUUID()
    const isTrace =
      typeof traceparent === 'string' && /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(traceparent)
    this.traceparent = isTrace ? traceparent : undefined
  }

  get isGone(): boolean {
    return this.stream.destroyed || this.stream.closed
  }

  /** Writes a message; resolves when it has left or the client is gone. */
  write(message: WireWriter): Promise<void> {
    const { stream } = this
    if (this.isGone) return Promise.resolve()
    if (!stream.headersSent) stream.respond(this.#head(), { waitForTrailers: true })
    const prefix = messagePrefix(message.byteLength)
    const pieces =
      message.byteLength <= smallBytes
        ? [Buffer.concat([prefix, ...message.pieces], prefix.byteLength + message.byteLength)]
        : [prefix, ...message.pieces]
    const left = Promise.withResolvers<void>()
    const cut = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), takeMs)
    const done = () => {
      clearTimeout(cut)
      stream.off('close', done)
      left.resolve()
    }
    stream.once('close', done)
    for (const [index, piece] of pieces.entries()) {
      if (index < pieces.length - 1) stream.write(piece)
      else stream.write(piece, done)
    }
    return left.promise
  }

  /** Ends the call with a status; resolves when all of it has left or the client is gone. */
  async end(verdict: Verdict): Promise<void> {
    const { stream } = this
    this.code ??= verdict.code
    if (this.isGone) return
    const trailers = trailersOf(verdict)
    const ended = Promise.withResolvers<void>()
    // Not 'finish': that comes before the trailers have left.
    stream.once('close', ended.resolve)
    if (stream.headersSent) {
      stream.once('wantTrailers', () => {
        if (!this.isGone) stream.sendTrailers(trailers)
      })
      stream.end()
    } else {
      stream.respond({ ...this.#head(), ...trailers }, { endStream: true })
    }
    this.#linger()
    const cut = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), takeMs)
    await ended.promise
    clearTimeout(cut)
  }

  /** Ends a call that is not gRPC, by the status of HTTP. */
  refuseHttp(status: number): void {
    if (this.isGone) return
    this.stream.respond({ ':status': status }, { endStream: true })
    this.#linger()
  }

  /** Throws away for a while what the client still sends, so that it gets to read the answer before a reset. */
  #linger(): void {
    const { stream } = this
    if (stream.readableEnded || stream.endAfterHeaders) return
    stream.on('error', () => undefined).resume()
    const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), lingerMs)
    stream.once('close', () => clearTimeout(timer))
  }

  #head() {
    return {
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-accept-encoding': 'identity',
      'x-request-id': this.requestId,
      ...(this.traceparent !== undefined && { traceparent: this.traceparent }),
    }
  }
}
