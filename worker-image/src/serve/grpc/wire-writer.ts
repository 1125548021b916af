/** Builds a protobuf message as a list of pieces; what is handed over is not copied. Fields of default values are left out. */
export class WireWriter {
  readonly pieces: Uint8Array[] = []
  byteLength = 0

  add(piece: Uint8Array): this {
    this.pieces.push(piece)
    this.byteLength += piece.byteLength
    return this
  }

  text(field: number, value: string): this {
    return value === '' ? this : this.bytes(field, Buffer.from(value))
  }

  /** A length-delimited field, written also when it is empty. */
  bytes(field: number, value: Uint8Array): this {
    this.add(header(field, value.byteLength))
    return value.byteLength === 0 ? this : this.add(value)
  }

  message(field: number, value: WireWriter): this {
    return this.delimited(field, value.pieces, value.byteLength)
  }

  delimited(field: number, pieces: readonly Uint8Array[], byteLength: number): this {
    this.add(header(field, byteLength))
    for (const piece of pieces) this.add(piece)
    return this
  }

  flag(field: number, value: boolean): this {
    return value ? this.add(Uint8Array.of(field << 3, 1)) : this
  }

  /** An unsigned integer. */
  count(field: number, value: number): this {
    if (value <= 0) return this
    return this.add(Buffer.concat([varint(BigInt(field << 3)), varint(BigInt(Math.round(value)))]))
  }

  /** Packed int64; -1 for a dynamic dimension. */
  shape(field: number, shape: readonly number[]): this {
    if (shape.length === 0) return this
    return this.bytes(field, Buffer.concat(shape.map((dimension) => varint(BigInt(dimension)))))
  }

  finish(): Buffer {
    return Buffer.concat(this.pieces, this.byteLength)
  }
}

function header(field: number, byteLength: number): Uint8Array {
  return Buffer.concat([varint(BigInt((field << 3) | 2)), varint(BigInt(byteLength))])
}

function varint(value: bigint): Uint8Array {
  let rest = BigInt.asUintN(64, value)
  const bytes: number[] = []
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  bytes.push(Number(rest))
  return Uint8Array.from(bytes)
}
