import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { Clock } from '../../kube/clock.ts'
import type { UserRequest, UserResponse } from '../forward/user-side.ts'
import { BodyDigest } from './body-digest.ts'
import { receiptHeader, refusedHeader } from './headers.ts'

export type GuestStreamDeps = {
  clock: Clock
  /** A body or a reader that stands still for so long is cut. */
  stallSeconds: number
  /** Whether a trailer follows. */
  hasReceipt: boolean
  /** All that passes, for what a peer may do in all. */
  onBytes: (direction: 'sent' | 'received', bytes: number) => void
}

const lingerMs = 1000

type RequestEvent = 'data' | 'end' | 'close'

/** The stream of a peer's request as an exchange sees a user's: hashes what passes, and cuts whoever stands still. */
export class GuestStream {
  readonly request: UserRequest
  readonly response: UserResponse
  readonly #stream: ServerHttp2Stream
  readonly #deps: GuestStreamDeps
  readonly #request = new BodyDigest()
  readonly #response = new BodyDigest()
  /** The answer says that no worker has seen the request. */
  isRefused = false
  #status = 0
  #complete: boolean
  #reading = false
  #isSealed = false
  #ended = Promise.withResolvers<void>()
  #cancelBodyStall: (() => void) | undefined
  #cancelReaderStall: (() => void) | undefined

  constructor(stream: ServerHttp2Stream, method: string, deps: GuestStreamDeps) {
    this.#stream = stream
    this.#deps = deps
    this.#complete = stream.endAfterHeaders
    this.request = this.#makeRequest(method)
    this.response = this.#makeResponse()
    stream.on('close', () => {
      this.#cancelBodyStall?.()
      this.#cancelReaderStall?.()
      this.#ended.resolve()
    })
  }

  get status(): number {
    return this.#status
  }

  /** The requester's side went before the answer ended. */
  get isGone(): boolean {
    return this.#stream.destroyed || this.#stream.closed
  }

  get requestBytes(): number {
    return this.#request.bytes
  }

  get responseBytes(): number {
    return this.#response.bytes
  }

  /** Once: what comes after it is not counted. */
  digests(): { request: Buffer; response: Buffer } | undefined {
    if (!this.#deps.hasReceipt || this.#isSealed) return undefined
    this.#isSealed = true
    return { request: this.#request.digest(), response: this.#response.digest() }
  }

  /** Ends the answer, once the exchange has; the receipt goes with it. */
  async finish(receipt: string | undefined): Promise<void> {
    await this.#ended.promise
    const stream = this.#stream
    if (stream.destroyed || stream.closed || stream.writableEnded) return
    stream.once('wantTrailers', () => {
      if (!stream.destroyed && !stream.closed)
        stream.sendTrailers(receipt === undefined ? {} : { [receiptHeader]: receipt })
    })
    stream.end()
    // What is left of the request is of no use any more. A reset at once would overtake the trailers.
    if (this.#complete) return
    const cancel = this.#deps.clock.after(lingerMs, () => stream.close(constants.NGHTTP2_NO_ERROR))
    stream.once('close', cancel)
    stream.resume()
  }

  #makeRequest(method: string): UserRequest {
    const stream = this.#stream
    const isComplete = () => this.#complete
    const wrapped = new Map<() => void, () => void>()
    const request: UserRequest = {
      method,
      url: undefined,
      get complete() {
        return isComplete()
      },
      get destroyed() {
        return stream.destroyed
      },
      on: (event: RequestEvent, listener: (chunk: Buffer) => void) => {
        this.#read()
        if (event !== 'end') stream.on(event, listener)
        else {
          const end = listener as () => void
          // A stream that was reset ends too, and its body is not whole.
          const whole = () => {
            if (this.#complete) end()
          }
          wrapped.set(end, whole)
          stream.on('end', whole)
        }
        return request
      },
      off: (event: RequestEvent, listener: (chunk: Buffer) => void) => {
        stream.off(event, wrapped.get(listener as () => void) ?? listener)
        return request
      },
      pause: () => {
        this.#cancelBodyStall?.()
        stream.pause()
      },
      resume: () => {
        this.#watchBody()
        stream.resume()
      },
    }
    return request
  }

  /** Before anybody else reads. */
  #read(): void {
    if (this.#reading) return
    this.#reading = true
    const stream = this.#stream
    stream.on('data', (chunk: Buffer) => {
      if (this.#deps.hasReceipt && !this.#isSealed) this.#request.update(chunk)
      this.#deps.onBytes('received', chunk.length)
      this.#watchBody()
    })
    stream.on('end', () => {
      this.#cancelBodyStall?.()
      this.#complete = stream.rstCode === constants.NGHTTP2_NO_ERROR && !stream.aborted && !stream.destroyed
    })
    this.#watchBody()
  }

  #watchBody(): void {
    this.#cancelBodyStall?.()
    if (this.#complete || this.isGone) return
    this.#cancelBodyStall = this.#deps.clock.after(this.#deps.stallSeconds * 1000, () => this.#cut())
  }

  #makeResponse(): UserResponse {
    const stream = this.#stream
    const status = () => this.#status
    const response: UserResponse = {
      get headersSent() {
        return stream.headersSent
      },
      get statusCode() {
        return status()
      },
      shouldKeepAlive: true,
      writeHead: (code, headers) => {
        this.#status = code
        if (this.isGone) return
        const sent: OutgoingHttpHeaders = { ...pairs(headers), ':status': code }
        this.isRefused = sent[refusedHeader] !== undefined
        stream.respond(sent, { waitForTrailers: this.#deps.hasReceipt })
      },
      write: (chunk) => {
        if (this.isGone || stream.writableEnded) return true
        if (this.#deps.hasReceipt && !this.#isSealed) this.#response.update(chunk)
        this.#deps.onBytes('sent', chunk.length)
        const isTaken = stream.write(chunk)
        if (!isTaken) this.#watchReader()
        return isTaken
      },
      once: (_event, listener) => stream.once('drain', listener),
      on: (_event, listener) => stream.on('close', listener),
      writeContinue: () => undefined,
      end: () => this.#ended.resolve(),
      destroy: () => {
        this.#ended.resolve()
        this.#cut()
      },
    }
    return response
  }

  #watchReader(): void {
    if (this.#cancelReaderStall !== undefined) return
    const forget = () => {
      this.#cancelReaderStall?.()
      this.#cancelReaderStall = undefined
    }
    this.#cancelReaderStall = this.#deps.clock.after(this.#deps.stallSeconds * 1000, () => this.#cut())
    this.#stream.once('drain', forget)
  }

  #cut(): void {
    if (!this.isGone) this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR)
  }
}

function pairs(headers: string[] | Record<string, string | number>): OutgoingHttpHeaders {
  if (!Array.isArray(headers)) return headers
  const named: OutgoingHttpHeaders = {}
  for (let i = 0; i + 1 < headers.length; i += 2) named[headers[i] ?? ''] = headers[i + 1]
  return named
}
