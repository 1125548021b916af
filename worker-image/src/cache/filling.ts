import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { FetchError } from '../fetch/fetch-error.ts'
import { watchRate } from '../fetch/rate-watch.ts'

/** Opens the source of the bytes from a position on. */
export type OpenFrom = (position: number, signal: AbortSignal) => Promise<AsyncIterable<Uint8Array>>

const attempts = 3

/** A file that comes in while readers follow it; they get its last byte only when the digest of the whole is right. */
export class Filling {
  readonly sizeBytes: number
  readonly #handle: FileHandle
  readonly #sha256: string
  #position = 0
  #complete = false
  #failure: { error: unknown } | undefined
  #holders = 1
  #changed = Promise.withResolvers<void>()

  private constructor(handle: FileHandle, sha256: string, sizeBytes: number) {
    this.#handle = handle
    this.#sha256 = sha256
    this.sizeBytes = sizeBytes
  }

  static async create(path: string, sha256: string, sizeBytes: number): Promise<Filling> {
    return new Filling(await open(path, 'w+', 0o600), sha256, sizeBytes)
  }

  /**
   * Gets all bytes, going on where a connection broke; calls `keep` once the digest is right, before any reader gets the last byte.
   * Throws what stopped it, which its readers get, too.
   */
  async run(
    openFrom: OpenFrom,
    keep: () => Promise<void>,
    signal: AbortSignal,
    deps: { received: (bytes: number) => void; stallSeconds: number },
  ): Promise<void> {
    try {
      const hash = createHash('sha256')
      for (let attempt = 1; this.#position < this.sizeBytes; attempt += 1) {
        const before = this.#position
        try {
          await this.#receive(openFrom, (piece) => hash.update(piece), signal, deps)
        } catch (error) {
          if (this.#position > before) attempt = 1
          if (signal.aborted || attempt >= attempts) throw error
          await pause(100 * 2 ** attempt, undefined, { signal })
        }
      }
      const digest = hash.digest('hex')
      if (digest !== this.#sha256) throw new FetchError('DigestMismatch', `the bytes have the SHA-256 ${digest}`)
      await keep()
      this.#complete = true
    } catch (error) {
      this.#failure = { error }
      throw error
    } finally {
      this.#tell()
      await this.release()
    }
  }

  /** Reads up to `length` bytes at a position, waiting until some are there; throws what stopped the filling. */
  async read(position: number, length: number, signal: AbortSignal): Promise<Buffer> {
    for (;;) {
      signal.throwIfAborted()
      if (this.#failure !== undefined) throw this.#failure.error
      const end = this.#complete ? this.sizeBytes : Math.min(this.#position, this.sizeBytes - 1)
      const available = Math.min(length, end - position)
      if (available > 0) {
        const { buffer, bytesRead } = await this.#handle.read(Buffer.allocUnsafe(available), 0, available, position)
        if (bytesRead === 0) throw new FetchError('StorageFull', 'the file became shorter')
        return buffer.subarray(0, bytesRead)
      }
      await orAborted(this.#changed.promise, signal)
    }
  }

  /** Keeps the file open for a reader until it calls `release`; false: it has been closed already. */
  hold(): boolean {
    if (this.#holders === 0) return false
    this.#holders += 1
    return true
  }

  async release(): Promise<void> {
    this.#holders -= 1
    if (this.#holders === 0) await this.#handle.close()
  }

  async #receive(
    openFrom: OpenFrom,
    update: (piece: Uint8Array) => void,
    stop: AbortSignal,
    { received, stallSeconds }: { received: (bytes: number) => void; stallSeconds: number },
  ): Promise<void> {
    const rate = watchRate({ seconds: stallSeconds, minBytes: 1 })
    try {
      for await (const piece of await openFrom(this.#position, AbortSignal.any([stop, rate.signal]))) {
        if (this.#position + piece.length > this.sizeBytes)
          throw new FetchError('SizeMismatch', 'more bytes than announced')
        rate.received(piece.length)
        received(piece.length)
        update(piece)
        await this.#handle.write(piece, 0, piece.length, this.#position)
        this.#position += piece.length
        this.#tell()
      }
      if (this.#position < this.sizeBytes) throw new FetchError('SourceUnreachable', 'the connection ended early')
    } finally {
      rate.stop()
    }
  }

  #tell(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers<void>()
  }
}

function orAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
