import { tooLarge } from '../rest/read-body.ts'
import { GrpcProblem, grpcStatus } from './status.ts'

export const prefixBytes = 5

/** Cuts a stream of DATA into gRPC's length-prefixed messages; a message of more than `maxBytes` is refused by its prefix. */
export class MessageSplitter {
  readonly #maxBytes: number
  #pieces: Buffer[] = []
  #buffered = 0
  #needed = prefixBytes
  #length: number | undefined

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Bytes of a message that is not complete. */
  get buffered(): number {
    return this.#buffered
  }

  /** The messages that this piece completes. A message that came in one piece is a view of it. */
  push(piece: Buffer): Buffer[] {
    const messages: Buffer[] = []
    this.#pieces.push(piece)
    this.#buffered += piece.byteLength
    while (this.#buffered >= this.#needed) {
      if (this.#length === undefined) {
        const all = this.#joined()
        const length = all.readUInt32BE(1)
        if (all[0] !== 0) throw new GrpcProblem(grpcStatus.unimplemented, 'compressed messages are not accepted')
        if (length > this.#maxBytes) throw tooLarge(this.#maxBytes)
        this.#length = length
        this.#needed = prefixBytes + length
        continue
      }
      const all = this.#joined()
      messages.push(all.subarray(prefixBytes, this.#needed))
      const rest = all.subarray(this.#needed)
      this.#pieces = rest.byteLength > 0 ? [rest] : []
      this.#buffered = rest.byteLength
      this.#needed = prefixBytes
      this.#length = undefined
    }
    return messages
  }

  #joined(): Buffer {
    const [only] = this.#pieces
    if (this.#pieces.length === 1 && only !== undefined) return only
    const all = Buffer.concat(this.#pieces, this.#buffered)
    this.#pieces = [all]
    return all
  }
}

/** The prefix of a message that is not compressed. */
export function messagePrefix(byteLength: number): Buffer {
  const prefix = Buffer.alloc(prefixBytes)
  prefix.writeUInt32BE(byteLength, 1)
  return prefix
}
