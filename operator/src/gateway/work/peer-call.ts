import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from 'node:http2'
import type { Dispatcher } from 'undici'
import type { ForwardedBody } from '../forward/forwarded-body.ts'
import type { RoutedPeer } from '../route/peer-endpoint.ts'
import type { UpstreamRequest } from '../route/upstream.ts'
import { CallRecord } from './call-record.ts'
import { dataClassHeader, epochHeader, purposeHeader, receiptHeader } from './headers.ts'
import { NotTakenError, PeerLostError } from './lost.ts'
import type { PeerLines } from './peer-worker.ts'

type CallDeps = { at: RoutedPeer; namespace: string; service: string; lines: PeerLines }
type AnswerHeaders = Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2]

/** One request to a peer's gateway over HTTP/2, told to a handler as undici would tell it of a worker. */
export class PeerCall implements Dispatcher.DispatchController {
  #stream: ClientHttp2Stream | undefined
  #done = false
  /** The end came; trailers may follow. */
  #isEnded = false
  #status = 0
  #trailer: unknown
  aborted = false
  paused = false
  reason: Error | null = null
  readonly #record: CallRecord
  readonly #deps: CallDeps
  readonly #request: UpstreamRequest
  readonly #handler: Dispatcher.DispatchHandler

  constructor(deps: CallDeps, request: UpstreamRequest, handler: Dispatcher.DispatchHandler) {
    const { at, namespace, service, lines } = deps
    this.#deps = deps
    this.#request = request
    this.#handler = handler
    this.#record = new CallRecord(at, { namespace, service }, request.callerName ?? '', lines.book)
  }

  start(): void {
    const { at, lines } = this.#deps
    const problem = lines.book?.problem('Requester', at)
    if (problem !== undefined) this.#failSoon(new NotTakenError(`nothing can be sent under this grant: ${problem}`))
    else if (lines.book === undefined) this.#send()
    else
      this.#record.begin().then(
        () => this.#send(),
        (error: unknown) => this.#failSoon(notTaken(error)),
      )
  }

  abort(reason: Error): void {
    this.aborted = true
    this.reason = reason
    if (this.#done) return
    // Before it was sent there is nothing to cancel; `#send` looks again.
    this.#stream?.close(constants.NGHTTP2_CANCEL)
  }

  pause(): void {
    this.paused = true
    this.#stream?.pause()
  }

  resume(): void {
    this.paused = false
    this.#stream?.resume()
  }

  #send(): void {
    const { at, lines } = this.#deps
    if (this.aborted) {
      this.#failSoon(this.reason ?? new Error('no longer wanted'))
      return
    }
    const session = lines.callerOf(at.peer)
    if (session === undefined) {
      this.#failSoon(new NotTakenError('there is no connection with the gateway of the peer'))
      return
    }
    const { body } = this.#request
    let stream: ClientHttp2Stream
    try {
      stream = session.request(this.#headers(), { endStream: body === null })
    } catch (error) {
      this.#failSoon(notTaken(error))
      return
    }
    this.#stream = stream
    stream.on('response', (headers) => this.#onResponse(headers, stream))
    stream.on('trailers', (headers) => {
      this.#trailer = headers[receiptHeader]
    })
    // A stream that was reset ends too. Node tells of trailers a tick after the end that came with them.
    stream.on('end', () => {
      const isWhole = stream.rstCode === constants.NGHTTP2_NO_ERROR && this.#status > 0 && !session.destroyed
      if (!isWhole) return
      this.#isEnded = true
      process.nextTick(() => this.#complete(stream))
    })
    stream.on('error', () => undefined)
    stream.on('close', () => {
      if (!this.#isEnded) this.#fail(this.#whyClosed(stream, session.closed || session.destroyed))
    })
    // May abort.
    this.#handler.onRequestStart?.(this, {})
    if (stream.closed || body === null) return
    if (Buffer.isBuffer(body)) {
      this.#record.sent(body)
      stream.end(body)
    } else this.#pour(body, stream)
  }

  #headers(): Record<string, string> {
    const { requestId, epoch, dataClass, purpose } = this.#deps.at
    const { method, path, headers } = this.#request
    const sent: Record<string, string> = { ':method': method, ':path': `/v1/work/${requestId}${path}` }
    for (let i = 0; i + 1 < headers.length; i += 2) {
      const [name = '', value = ''] = [headers[i], headers[i + 1]]
      // Users may repeat `accept` and its like.
      sent[name] = sent[name] === undefined ? value : `${sent[name]}, ${value}`
    }
    const { body } = this.#request
    if (Buffer.isBuffer(body)) sent['content-length'] = String(body.length)
    sent[epochHeader] = String(epoch)
    sent[dataClassHeader] = dataClass
    sent[purposeHeader] = purpose
    sent[receiptHeader] = this.#record.header
    return sent
  }

  /** A body that flows through, as fast as the peer takes it. */
  #pour(body: ForwardedBody, stream: ClientHttp2Stream): void {
    body.on('data', (chunk: Buffer) => {
      if (stream.destroyed || stream.closed) return
      this.#record.sent(chunk)
      if (!stream.write(chunk)) body.pause()
    })
    body.on('end', () => stream.end())
    body.on('error', (error: Error) => {
      this.#fail(error)
      stream.close(constants.NGHTTP2_CANCEL)
    })
    stream.on('drain', () => body.resume())
    stream.on('close', () => body.destroy())
    body.resume()
  }

  #onResponse(headers: IncomingHttpHeaders, stream: ClientHttp2Stream): void {
    const status = Number(headers[':status'])
    // Interim answers come as `headers` events.
    this.#status = status
    // The same shape as undici's, but for what undici never has.
    if (!this.aborted) this.#handler.onResponseStart?.(this, status, headers as AnswerHeaders)
    // Not before: Node tells of the head a tick after it came, and of the bytes behind it at once to whoever listens.
    stream.on('data', (chunk: Buffer) => {
      this.#record.got(chunk)
      if (!this.aborted) this.#handler.onResponseData?.(this, chunk)
    })
  }

  #complete(stream: ClientHttp2Stream): void {
    if (this.#done) return
    this.#done = true
    void this.#settle(true)
    // An answer before the whole request came.
    if (!stream.writableEnded) stream.close(constants.NGHTTP2_NO_ERROR)
    if (!this.aborted) this.#handler.onResponseEnd?.(this, {})
    else this.#handler.onResponseError?.(this, this.reason ?? new Error('no longer wanted'))
  }

  #whyClosed(stream: ClientHttp2Stream, isSessionOver: boolean): Error {
    if (this.reason !== null) return this.reason
    if (stream.rstCode === constants.NGHTTP2_REFUSED_STREAM || stream.id === undefined) {
      return new NotTakenError('the gateway of the peer did not take the request')
    }
    if (isSessionOver) return new PeerLostError()
    return new Error(`the gateway of the peer broke off, code ${stream.rstCode}`)
  }

  #failSoon(error: Error): void {
    // As undici does: never before `dispatch` has returned.
    setImmediate(() => this.#fail(error))
  }

  #fail(error: Error): void {
    if (this.#done) return
    this.#done = true
    void this.#settle(false)
    this.#handler.onResponseError?.(this, error)
  }

  async #settle(isWhole: boolean): Promise<void> {
    try {
      await this.#record.end(this.#status === 0 ? 499 : this.#status, isWhole, this.#trailer)
    } catch {
      // The book tells of what it cannot write by `problem`; this request is answered already.
    }
  }
}

function notTaken(error: unknown): NotTakenError {
  return new NotTakenError(error instanceof Error ? error.message : String(error))
}
