/** Grows a protobuf message whose nested lengths are known only afterwards. */
export class SlimWriter {
  #bytes = new Uint8Array(64 * 1024)
  #length = 0

  get length(): number {
    return this.#length
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  byte(value: number): void {
    this.#room(1)
    this.#bytes[this.#length] = value
    this.#length += 1
  }

  varint(value: bigint): void {
    let rest = value
    while (rest > 0x7fn) {
      this.byte(Number(rest & 0x7fn) | 0x80)
      rest >>= 7n
    }
    this.byte(Number(rest))
  }

  small(value: number): void {
    let rest = value
    while (rest > 0x7f) {
      this.byte((rest % 128) | 0x80)
      rest = Math.floor(rest / 128)
    }
    this.byte(rest)
  }

  bytes(value: Uint8Array): void {
    this.#room(value.length)
    this.#bytes.set(value, this.#length)
    this.#length += value.length
  }

  /** Leaves room for a length; `close` with the returned mark fills it in, padded to five bytes. */
  open(): number {
    this.#room(5)
    this.#length += 5
    return this.#length
  }

  close(mark: number): void {
    let rest = this.#length - mark
    for (let index = 0; index < 5; index += 1) {
      this.#bytes[mark - 5 + index] = (rest % 128) | (index < 4 ? 0x80 : 0)
      rest = Math.floor(rest / 128)
    }
  }

  #room(count: number): void {
    if (this.#length + count <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count))
    larger.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = larger
  }
}
