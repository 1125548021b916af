/** Token ids of several texts, one behind the other, so that they pass between threads without a copy. */
export class Tokens {
  readonly ids: Int32Array
  readonly lengths: Int32Array
  readonly #offsets: Int32Array

  constructor(ids: Int32Array, lengths: Int32Array) {
    this.ids = ids
    this.lengths = lengths
    this.#offsets = new Int32Array(lengths.length + 1)
    for (const [index, length] of lengths.entries()) {
      this.#offsets[index + 1] = (this.#offsets[index] ?? 0) + length
    }
  }

  /** Texts. */
  get count(): number {
    return this.lengths.length
  }

  /** Tokens of all texts. */
  get total(): number {
    return this.ids.length
  }

  of(text: number): Int32Array {
    return this.ids.subarray(this.#offsets[text] ?? 0, this.#offsets[text + 1] ?? 0)
  }
}
