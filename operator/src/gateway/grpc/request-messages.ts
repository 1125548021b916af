import { headBytes } from './model-name.ts'

export type MessageHandler = {
  /** A message of that many bytes begins; throw nothing, stop the reader instead. */
  onLength(bytes: number): void
  /** Its first bytes: the whole of a small message, `headBytes` of a larger one. */
  onHead(head: Buffer, bytes: number): void
  onBody(chunk: Buffer): void
  onMessageEnd(): void
  /** No more messages; not `isWhole` when the last one was cut short. */
  onEnd(isWhole: boolean): void
  /** The frames are not gRPC, or compressed. */
  onInvalid(error: string, status: 400 | 501): void
}

const prefixBytes = 5

/**
 * Takes a stream of gRPC frames apart (PROTOCOL-HTTP2.md, "Length-Prefixed-Message") without holding more of a message than its
 * head. While paused it keeps what it was given; whoever pauses it must also pause its source.
 */
export class RequestMessages {
  isPaused = false
  #stopped = false
  #gathered: Buffer[] = []
  #gatheredBytes = 0
  #state: 'prefix' | 'head' | 'body' = 'prefix'
  #length = 0
  #left = 0
  #waiting: Buffer[] = []
  #endIsDue = false
  #isRunning = false
  #hasEnded = false
  readonly #handler: MessageHandler

  constructor(handler: MessageHandler) {
    this.#handler = handler
  }

  push(chunk: Buffer): void {
    if (this.#stopped) return
    this.#waiting.push(chunk)
    this.#run()
  }

  /** No more bytes come. */
  end(): void {
    this.#hasEnded = true
    this.#run()
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
    this.#run()
  }

  /** Drops everything from here on. */
  stop(): void {
    this.#stopped = true
    this.#waiting = []
    this.#gathered = []
  }

  // The handler pauses and resumes from within; only the outermost call goes on then, so that nothing overtakes.
  #run(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    while (!this.isPaused && !this.#stopped) {
      if (this.#endIsDue) {
        this.#endIsDue = false
        this.#endMessage()
        continue
      }
      const chunk = this.#waiting.shift()
      if (chunk === undefined) break
      const rest = this.#step(chunk)
      if (rest.length > 0 && !this.#stopped) this.#waiting.unshift(rest)
    }
    this.#isRunning = false
    if (!this.#hasEnded || this.isPaused || this.#stopped) return
    this.stop()
    this.#handler.onEnd(this.#state === 'prefix' && this.#gatheredBytes === 0)
  }

  #step(chunk: Buffer): Buffer {
    if (this.#state === 'body') {
      const body = chunk.length <= this.#left ? chunk : chunk.subarray(0, this.#left)
      this.#left -= body.length
      this.#handler.onBody(body)
      if (this.#left === 0) this.#endIsDue = true
      return chunk.subarray(body.length)
    }
    const wanted = this.#state === 'prefix' ? prefixBytes : Math.min(this.#length, headBytes)
    const part = chunk.subarray(0, wanted - this.#gatheredBytes)
    this.#gathered.push(part)
    this.#gatheredBytes += part.length
    if (this.#gatheredBytes === wanted) {
      const whole = this.#gathered.length === 1 ? part : Buffer.concat(this.#gathered)
      this.#gathered = []
      this.#gatheredBytes = 0
      if (this.#state === 'prefix') this.#onPrefix(whole)
      else this.#onHead(whole)
    }
    return chunk.subarray(part.length)
  }

  #onPrefix(prefix: Buffer): void {
    const flag = prefix[0]
    if (flag !== 0) {
      this.stop()
      if (flag === 1) this.#handler.onInvalid('send messages without compression (grpc-encoding identity)', 501)
      else this.#handler.onInvalid('the message is not framed as gRPC', 400)
      return
    }
    this.#length = prefix.readUInt32BE(1)
    this.#left = this.#length
    this.#state = 'head'
    this.#handler.onLength(this.#length)
    if (this.#length === 0 && !this.#stopped) this.#onHead(Buffer.alloc(0))
  }

  #onHead(head: Buffer): void {
    this.#left = this.#length - head.length
    this.#state = 'body'
    this.#handler.onHead(head, this.#length)
    if (this.#left === 0) this.#endIsDue = true
  }

  #endMessage(): void {
    this.#state = 'prefix'
    this.#handler.onMessageEnd()
  }
}

/** The five bytes before a message that is not compressed. */
export function messagePrefix(bytes: number): Buffer {
  const prefix = Buffer.alloc(prefixBytes)
  prefix.writeUInt32BE(bytes, 1)
  return prefix
}
