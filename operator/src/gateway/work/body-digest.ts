import { createHash, type Hash, hash } from 'node:crypto'

/** SHA-256 of a body that comes in pieces. Most come in one, which is hashed in one call: a third of the time of a Hash object. */
export class BodyDigest {
  bytes = 0
  #only: Buffer | undefined
  #hash: Hash | undefined

  update(piece: Buffer): void {
    this.bytes += piece.length
    if (this.#hash !== undefined) this.#hash.update(piece)
    else if (this.#only === undefined) this.#only = piece
    else {
      this.#hash = createHash('sha256').update(this.#only).update(piece)
      this.#only = undefined
    }
  }

  /** Once. */
  digest(): Buffer {
    return this.#hash?.digest() ?? hash('sha256', this.#only ?? Buffer.alloc(0), 'buffer')
  }
}
