import { contiguous, type Tensor } from '../tensor.ts'

/** Differences beyond this share of the largest value are no rounding. */
const tolerances = { FP16: 1e-2, FP32: 1e-3, FP64: 1e-3 }

/**
 * Whether two tensors hold the same values: floating-point numbers within rounding, which changes with the size of a batch;
 * all others exactly. NaN equals NaN.
 */
export function sameValues(a: Tensor, b: Tensor): boolean {
  if (a.datatype !== b.datatype || a.shape.join() !== b.shape.join()) return false
  const [left, right] = [contiguous(a.pieces, a.byteLength), contiguous(b.pieces, b.byteLength)]
  if (left.byteLength !== right.byteLength) return false
  const { datatype } = a
  if (datatype !== 'FP16' && datatype !== 'FP32' && datatype !== 'FP64') return Buffer.compare(left, right) === 0
  const [one, other] = [numbers(left, datatype), numbers(right, datatype)]
  let largest = 0
  for (const list of [one, other]) {
    for (const value of list) if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value))
  }
  const most = largest * tolerances[datatype]
  return one.every((value, index) => {
    const twin = other[index] ?? Number.NaN
    return Object.is(value, twin) || value === twin || Math.abs(value - twin) <= most
  })
}

function numbers(bytes: Uint8Array, datatype: 'FP16' | 'FP32' | 'FP64'): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const size = { FP16: 2, FP32: 4, FP64: 8 }[datatype]
  return Array.from({ length: bytes.byteLength / size }, (_, index) => {
    const at = index * size
    if (datatype === 'FP32') return view.getFloat32(at, true)
    return datatype === 'FP64' ? view.getFloat64(at, true) : half(view.getUint16(at, true))
  })
}

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}
