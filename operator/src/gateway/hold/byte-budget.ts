/** Bytes that may be kept in memory for one purpose, by all requests together. */
export class ByteBudget {
  #taken = 0
  readonly #most: number

  constructor(most: number) {
    this.#most = most
  }

  /** False when that much is not left. */
  take(bytes: number): boolean {
    if (this.#taken + bytes > this.#most) return false
    this.#taken += bytes
    return true
  }

  give(bytes: number): void {
    this.#taken -= bytes
  }
}
