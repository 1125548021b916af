/**
 * Frames between a worker and its session processes: u32 little-endian length of the header, u64 little-endian length of the
 * payload, the header (JSON), the payload (tensor bytes, one tensor behind the other).
 */
export const prefixBytes = 12
export const maxHeaderBytes = 8 << 20

export function framePrefix(headerBytes: number, payloadBytes: number): Buffer {
  const prefix = Buffer.allocUnsafe(prefixBytes)
  prefix.writeUInt32LE(headerBytes, 0)
  prefix.writeBigUInt64LE(BigInt(payloadBytes), 4)
  return prefix
}

export type Frame = { readonly header: Buffer; readonly payload: readonly Uint8Array[]; readonly payloadBytes: number }

/**
 * Puts frames together from a stream's chunks without copying payload: a frame's payload is views of the chunks. Throws when
 * a length is over its bound.
 */
export class FrameReader {
  readonly #maxPayloadBytes: number
  #start: Buffer = Buffer.alloc(0)
  #header: Buffer | undefined
  #payload: Uint8Array[] = []
  #payloadBytes = 0
  #missing = 0

  constructor(maxPayloadBytes: number) {
    this.#maxPayloadBytes = maxPayloadBytes
  }

  /** Takes the next chunk and returns the frames that it completes. */
  push(chunk: Buffer): Frame[] {
    const frames: Frame[] = []
    let rest = chunk
    while (rest.byteLength > 0 || (this.#header !== undefined && this.#missing === 0)) {
      if (this.#header === undefined) {
        rest = this.#readStart(rest)
        if (this.#header === undefined) break
      }
      const part = rest.subarray(0, this.#missing)
      if (part.byteLength > 0) this.#payload.push(part)
      this.#missing -= part.byteLength
      rest = rest.subarray(part.byteLength)
      if (this.#missing > 0) break
      frames.push({ header: this.#header, payload: this.#payload, payloadBytes: this.#payloadBytes })
      this.#header = undefined
      this.#payload = []
    }
    return frames
  }

  /** Reads prefix and header; returns what of the chunk lies behind them. */
  #readStart(chunk: Buffer): Buffer {
    const start = this.#start.byteLength === 0 ? chunk : Buffer.concat([this.#start, chunk])
    this.#start = start
    if (start.byteLength < prefixBytes) return Buffer.alloc(0)
    const headerBytes = start.readUInt32LE(0)
    const payloadBytes = Number(start.readBigUInt64LE(4))
    if (headerBytes > maxHeaderBytes || payloadBytes > this.#maxPayloadBytes) throw new RangeError('frame too large')
    const end = prefixBytes + headerBytes
    if (start.byteLength < end) return Buffer.alloc(0)
    this.#header = start.subarray(prefixBytes, end)
    this.#payloadBytes = payloadBytes
    this.#missing = payloadBytes
    this.#start = Buffer.alloc(0)
    return start.subarray(end)
  }
}
