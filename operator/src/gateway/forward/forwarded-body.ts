import { Stream } from 'node:stream'
import type { UserRequest } from './user-side.ts'

const gatherBytes = 65_536

/**
 * A request body on its way to a worker, unparsed and unbuffered. It stands between the user's request and undici, which destroys
 * the stream that it is given: the user's connection must survive that to receive an answer. It counts bytes for bodies without
 * a declared length, and knows whether anything was taken out of it, which decides whether a retry is possible.
 */
export class ForwardedBody extends Stream {
  /** True once bytes may have gone to a worker. */
  consumed = false
  bytes = 0
  /** Monotonic milliseconds; 0 until the last byte came in. */
  endedAt = 0
  #stopped = false
  #gathered: Buffer[] = []
  #gatheredBytes = 0
  #flush: NodeJS.Immediate | undefined
  readonly #request: UserRequest
  readonly #maxBytes: number
  readonly #now: () => number

  constructor(request: UserRequest, maxBytes: number, now: () => number) {
    super()
    this.#request = request
    this.#maxBytes = maxBytes
    this.#now = now
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
    clearImmediate(this.#flush)
    this.#gathered = []
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
    // Users' bytes come in TLS records of at most 16 KiB; sending those of one turn of the event loop together costs a quarter
    // of the system calls.
    this.#gathered.push(chunk)
    this.#gatheredBytes += chunk.length
    if (this.#gatheredBytes >= gatherBytes) this.#emitGathered()
    else this.#flush ??= setImmediate(this.#emitGathered)
  }

  readonly #emitGathered = () => {
    clearImmediate(this.#flush)
    this.#flush = undefined
    const [only] = this.#gathered
    if (only === undefined) return
    const all = this.#gathered.length === 1 ? only : Buffer.concat(this.#gathered, this.#gatheredBytes)
    this.#gathered = []
    this.#gatheredBytes = 0
    this.emit('data', all)
  }

  readonly #onEnd = () => {
    this.endedAt = this.#now()
    this.#emitGathered()
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
