import type { ByteSource } from './byte-source.ts'

/** Bytes that no protobuf writer makes; `scanModel` turns it into a refusal with the place. */
export class WireError extends Error {}

const windowBytes = 256 * 1024
const empty = new Uint8Array(0)

/** Reads protobuf's wire format through a small window, so that weights are passed over without being read or copied. */
export class WireReader {
  readonly #source: ByteSource
  readonly #buffer = new Uint8Array(windowBytes)
  #start = 0
  #filled = 0
  #position = 0

  constructor(source: ByteSource) {
    this.#source = source
  }

  get position(): number {
    return this.#position
  }

  byte(end: number): number {
    if (this.#position >= end) throw new WireError('ends in the middle of a value')
    let offset = this.#position - this.#start
    if (offset < 0 || offset >= this.#filled) {
      this.#start = this.#position
      this.#filled = this.#source.read(this.#buffer, this.#start)
      offset = 0
      if (this.#filled === 0) throw new WireError('the file became shorter while it was read')
    }
    this.#position += 1
    return this.#buffer[offset] ?? 0
  }

  /** An unsigned 64-bit varint in its shortest form; readers disagree on others. */
  varint(end: number): bigint {
    let low = 0
    let count = 0
    let byte = 0
    // Seven bytes are 49 bits and fit a number; only the rest needs a bigint.
    do {
      byte = this.byte(end)
      low += (byte & 0x7f) * 2 ** (7 * count)
      count += 1
    } while (byte >= 0x80 && count < 7)
    let value = BigInt(low)
    while (byte >= 0x80) {
      byte = this.byte(end)
      if (count === 9 && byte > 1) throw new WireError('varint is longer than 64 bits')
      value |= BigInt(byte & 0x7f) << BigInt(7 * count)
      count += 1
    }
    if (byte === 0 && count > 1) throw new WireError('varint is not in its shortest form')
    return value
  }

  /** A field's length or tag: below 2^32. */
  small(end: number): number {
    let value = 0
    for (let count = 0; count < 5; count += 1) {
      const byte = this.byte(end)
      value += (byte & 0x7f) * 2 ** (7 * count)
      if (byte < 0x80) {
        if (byte === 0 && count > 0) throw new WireError('varint is not in its shortest form')
        if (value > 0xffffffff) throw new WireError('varint is longer than 32 bits')
        return value
      }
    }
    throw new WireError('varint is longer than 32 bits')
  }

  /** The end of a length-delimited field that starts here. */
  delimitedEnd(end: number): number {
    const length = this.small(end)
    if (length > end - this.#position) throw new WireError('a field is longer than what holds it')
    return this.#position + length
  }

  skipTo(position: number, end: number): void {
    if (position > end) throw new WireError('a field is longer than what holds it')
    this.#position = position
  }

  bytes(length: number, end: number): Uint8Array {
    if (length > end - this.#position) throw new WireError('a field is longer than what holds it')
    if (length === 0) return empty
    const offset = this.#position - this.#start
    if (offset >= 0 && offset + length <= this.#filled) {
      this.#position += length
      return this.#buffer.slice(offset, offset + length)
    }
    const copy = new Uint8Array(length)
    let done = 0
    while (done < length) {
      const read = this.#source.read(copy.subarray(done), this.#position + done)
      if (read === 0) throw new WireError('the file became shorter while it was read')
      done += read
    }
    this.#position += length
    return copy
  }
}
