import { elementBytes } from '../datatype.ts'
import { contiguous, type Tensor } from '../tensor.ts'
import { contentsFields } from './contents-field.ts'
import { WireWriter } from './wire-writer.ts'

const chunkBytes = 64 << 10
const longestVarint = 10

/**
 * A tensor's values as InferTensorContents; FP16 has none, and the caller sends it raw. `tooLarge` makes the error for
 * contents of more than `maxBytes`. Run it with `inSlices`.
 */
export function* writeContents(tensor: Tensor, maxBytes: number, tooLarge: () => Error): Generator<void, WireWriter> {
  const spec = contentsFields[tensor.datatype]
  const contents = new WireWriter()
  if (spec === undefined || tensor.byteLength === 0) return contents
  if (spec.form === 'fixed' || tensor.datatype === 'BOOL') {
    return contents.delimited(spec.field, tensor.pieces, tensor.byteLength)
  }
  const packed = new WireWriter()
  const chunks = spec.form === 'bytes' ? elementChunks(tensor, spec.field) : varintChunks(tensor)
  for (const chunk of chunks) {
    packed.add(chunk)
    if (packed.byteLength > maxBytes) throw tooLarge()
    yield
  }
  return spec.form === 'bytes' ? packed : contents.delimited(spec.field, packed.pieces, packed.byteLength)
}

function* varintChunks(tensor: Tensor): Generator<Uint8Array> {
  const bytes = contiguous(tensor.pieces, tensor.byteLength)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const size = elementBytes[tensor.datatype] ?? 1
  const signed = tensor.datatype.startsWith('INT')
  let chunk = Buffer.allocUnsafeSlow(chunkBytes)
  let at = 0
  for (let from = 0; from < bytes.byteLength; from += size) {
    if (at > chunkBytes - longestVarint) {
      yield chunk.subarray(0, at)
      chunk = Buffer.allocUnsafeSlow(chunkBytes)
      at = 0
    }
    let low: number
    let high: number
    if (size === 8) {
      low = view.getUint32(from, true)
      high = view.getUint32(from + 4, true)
    } else {
      low = signed ? signedAt(view, from, size) : unsignedAt(view, from, size)
      // int32 goes out sign-extended to 64 bits.
      high = low < 0 ? 0xffffffff : 0
      low >>>= 0
    }
    while (high !== 0 || low > 0x7f) {
      chunk[at++] = (low & 0x7f) | 0x80
      low = ((low >>> 7) | (high << 25)) >>> 0
      high >>>= 7
    }
    chunk[at++] = low
  }
  yield chunk.subarray(0, at)
}

function signedAt(view: DataView, at: number, size: number): number {
  return size === 1 ? view.getInt8(at) : size === 2 ? view.getInt16(at, true) : view.getInt32(at, true)
}

function unsignedAt(view: DataView, at: number, size: number): number {
  return size === 1 ? view.getUint8(at) : size === 2 ? view.getUint16(at, true) : view.getUint32(at, true)
}

/** Each BYTES element as a field of its own, many of them in a chunk. */
function* elementChunks(tensor: Tensor, field: number): Generator<Uint8Array> {
  const bytes = Buffer.from(contiguous(tensor.pieces, tensor.byteLength))
  let group = new WireWriter()
  for (let at = 0; at + 4 <= bytes.byteLength; ) {
    const end = at + 4 + bytes.readUInt32LE(at)
    group.bytes(field, bytes.subarray(at + 4, end))
    at = end
    if (group.byteLength < chunkBytes) continue
    yield group.finish()
    group = new WireWriter()
  }
  if (group.byteLength > 0) yield group.finish()
}
