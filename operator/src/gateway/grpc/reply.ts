import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { heldHeader } from '../hold/hold-refusal.ts'
import { encodeMessage } from './code.ts'

/** The answer to one call: begun with its first message, ended once with a status; then nothing more can be sent. */
export class Reply {
  bytes = 0
  /** Milliseconds that the call waited for the service to wake; known before the answer begins. */
  heldMs: number | undefined
  hasBegun = false
  hasEnded = false
  readonly #stream: ServerHttp2Stream
  readonly #requestId: string

  constructor(stream: ServerHttp2Stream, requestId: string) {
    this.#stream = stream
    this.#requestId = requestId
  }

  /** False when the user does not keep up; the stream's `drain` tells when to go on. */
  write(chunk: Buffer): boolean {
    if (this.hasEnded || this.#stream.destroyed) return true
    if (!this.hasBegun) {
      this.hasBegun = true
      this.#stream.respond(this.#headers({}), { waitForTrailers: true })
    }
    this.bytes += chunk.length
    return this.#stream.write(chunk)
  }

  /** Ends the call. `message` is plain text, or already encoded where it came from a worker. */
  end(
    code: number,
    message: string | undefined,
    options: { encoded?: boolean; headers?: OutgoingHttpHeaders } = {},
  ): void {
    if (this.hasEnded) return
    this.hasEnded = true
    const stream = this.#stream
    if (stream.destroyed || stream.closed) return
    const status: OutgoingHttpHeaders = { 'grpc-status': String(code), ...options.headers }
    if (message !== undefined && message !== '') {
      status['grpc-message'] = options.encoded === true ? message : encodeMessage(message)
    }
    if (!this.hasBegun) {
      stream.respond(this.#headers(status), { endStream: true })
      this.#letGo()
      return
    }
    stream.once('wantTrailers', () => {
      stream.sendTrailers(status)
      this.#letGo()
    })
    stream.end()
  }

  #headers(more: OutgoingHttpHeaders): OutgoingHttpHeaders {
    return {
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-accept-encoding': 'identity',
      'x-request-id': this.#requestId,
      ...(this.heldMs === undefined ? {} : { [heldHeader]: `${Math.round(this.heldMs)}` }),
      ...more,
    }
  }

  // A client that is still sending learns that nobody listens (RFC 9113 section 8.1); what it sent meanwhile is dropped.
  #letGo(): void {
    const stream = this.#stream
    if (stream.readableEnded) return
    stream.resume()
    setImmediate(() => {
      if (!stream.destroyed && !stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR)
    })
  }
}
