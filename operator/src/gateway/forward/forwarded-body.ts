import type { IncomingMessage } from 'node:http'
import { Stream } from 'node:stream'

/**
 * A request body on its way to a worker, unparsed and unbuffered. It stands between the user's request and undici, which destroys
 * the stream that it is given: the user's connection must survive that to receive an answer. It counts bytes for bodies without
 * a declared length, and knows whether anything was taken out of it, which decides whether a retry is possible.
 */
export class ForwardedBody extends Stream {
  /** True once bytes may have gone to a worker. */
  consumed = false
  bytes = 0
  #stopped = false
  readonly #request: IncomingMessage
  readonly #maxBytes: number

  constructor(request: IncomingMessage, maxBytes: number) {
    super()
    this.#request = request
    this.#maxBytes = maxBytes
    // Without a listener an error would be thrown; whoever reads the body adds its own.
    this.on('error', () => {})
  }

  // pause, resume and destroy are what undici calls on a stream of the old kind.
  resume(): this {
    if (this.#stopped) return this
    if (!this.consumed) {
      this.consumed = true
      this.#request.on('data', this.#onData).on('end', this.#onEnd)
    }
    this.#request.resume()
    return this
  }

  pause(): this {
    this.#request.pause()
    return this
  }

  destroy(): this {
    if (!this.consumed || this.#stopped) return this
    this.#stopped = true
    this.#request.off('data', this.#onData).off('end', this.#onEnd)
    this.#request.pause()
    return this
  }

  readonly #onData = (chunk: Buffer) => {
    this.bytes += chunk.length
    if (this.bytes > this.#maxBytes) {
      this.destroy()
      this.emit('error', new BodyTooLargeError())
      return
    }
    this.emit('data', chunk)
  }

  readonly #onEnd = () => {
    this.#stopped = true
    this.emit('end')
  }
}

export class BodyTooLargeError extends Error {
  constructor() {
    super('the body is larger than the limit of the service')
    this.name = 'BodyTooLargeError'
  }
}
