/** Follows the frames of a worker's answer as they pass by: how many messages are complete, and how large the one under way is. */
export class ResponseMessages {
  completed = 0
  #prefix = 0
  #length = 0
  #left = 0
  readonly #maxBytes: number

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** True between messages. */
  get isBetween(): boolean {
    return this.#prefix === 0
  }

  /** False when a message is larger than allowed. */
  push(chunk: Buffer): boolean {
    let at = 0
    while (at < chunk.length) {
      if (this.#prefix < 5) {
        // The flag is the first byte, the length the four behind it.
        if (this.#prefix > 0) this.#length = this.#length * 256 + (chunk[at] ?? 0)
        this.#prefix += 1
        at += 1
        if (this.#prefix < 5) continue
        if (this.#length > this.#maxBytes) return false
        this.#left = this.#length
      } else {
        const step = Math.min(this.#left, chunk.length - at)
        this.#left -= step
        at += step
      }
      if (this.#left === 0) {
        this.completed += 1
        this.#prefix = 0
        this.#length = 0
      }
    }
    return true
  }
}
