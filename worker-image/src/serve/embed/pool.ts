import { InferProblem } from '../problem.ts'
import { contiguous, type Tensor } from '../tensor.ts'
import type { EmbeddingSettings } from './graph.ts'

/**
 * One vector for each row of a run's output: the mean of its first `lengths[row]` positions, the first position, or the row
 * itself; then scaled to length 1 where asked. Throws InferProblem (ModelFailed) when the output has not the shape of the run
 * or holds a number that is none.
 */
export function poolRows(
  output: Tensor,
  lengths: readonly number[],
  paddedTo: number,
  settings: Pick<EmbeddingSettings, 'pooling' | 'normalize'>,
): Float32Array[] {
  const { shape } = output
  const dimensions = shape.at(-1) ?? 0
  const positions = settings.pooling === 'None' ? 1 : paddedTo
  const wanted = settings.pooling === 'None' ? [lengths.length, dimensions] : [lengths.length, paddedTo, dimensions]
  if (shape.length !== wanted.length || shape.some((size, axis) => size !== wanted[axis]) || dimensions === 0) {
    throw new InferProblem('ModelFailed', 'the model answered with an output of another shape than its inputs ask for')
  }
  const values = floats(output)
  return lengths.map((length, row) => {
    const start = row * positions * dimensions
    const count = settings.pooling === 'Mean' ? length : 1
    const vector = meanOf(values, start, count, dimensions)
    return settings.normalize ? normalized(vector) : finite(vector)
  })
}

/** The first `dimensions` of a vector, at length 1 again where vectors are normalized. */
export function shortened(vector: Float32Array, dimensions: number, normalize: boolean): Float32Array {
  const first = vector.slice(0, dimensions)
  return normalize ? normalized(first) : first
}

function meanOf(values: Float32Array, start: number, count: number, dimensions: number): Float32Array {
  if (count === 1) return values.slice(start, start + dimensions)
  const sums = new Float64Array(dimensions)
  for (let position = 0; position < count; position++) {
    const from = start + position * dimensions
    for (let at = 0; at < dimensions; at++) sums[at] = (sums[at] ?? 0) + (values[from + at] ?? 0)
  }
  return Float32Array.from(sums, (sum) => sum / count)
}

function normalized(vector: Float32Array): Float32Array {
  let squares = 0
  for (const value of vector) squares += value * value
  if (!Number.isFinite(squares)) throw notFinite()
  // A vector of zeros has no direction and stays what it is.
  const scale = squares === 0 ? 1 : 1 / Math.sqrt(squares)
  return vector.map((value) => value * scale)
}

function finite(vector: Float32Array): Float32Array {
  if (!vector.every(Number.isFinite)) throw notFinite()
  return vector
}

function notFinite(): InferProblem {
  return new InferProblem('ModelFailed', 'the model answered with a number that is not finite')
}

function floats(output: Tensor): Float32Array {
  const bytes = contiguous(output.pieces, output.byteLength)
  // Not slice(): that of a Buffer gives a view.
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes)
  if (output.datatype === 'FP32') {
    return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4)
  }
  const halves = new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2)
  return Float32Array.from(halves, halfToNumber)
}

/** IEEE 754 binary16. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}
