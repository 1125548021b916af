import { type Datatype, elementBytes } from '../datatype.ts'
import type { InferRequest, Signature, Tensor } from '../tensor.ts'

/** A number in [0, 1), always the same row of them for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export type SyntheticOptions = {
  readonly rows: number
  /** Size of every free dimension but the first. */
  readonly free: number
  /** Larger numbers, which models of pictures need; false: such that also indexes and masks are valid. */
  readonly wide: boolean
  readonly random: () => number
}

/**
 * A request that a model may accept, with random values. Integers are 0 and 1, which are valid as token, mask and segment,
 * and a row of several starts with 1, so that no mask is empty; strings are digits.
 */
export function syntheticRequest(signature: Signature, options: SyntheticOptions): InferRequest {
  const inputs = signature.inputs.map(({ name, datatype, shape }): Tensor => {
    const concrete = shape.map((dimension, axis) =>
      dimension !== -1 ? dimension : axis === 0 ? options.rows : options.free,
    )
    const perRow = concrete.slice(1).reduce((product, dimension) => product * dimension, 1)
    const bytes = values(datatype, options.rows * perRow, perRow, options)
    return { name, datatype, shape: concrete, byteLength: bytes.byteLength, pieces: [bytes] }
  })
  return { inputs, outputs: signature.outputs.map((output) => output.name) }
}

/** The bytes that `syntheticRequest` would need. */
export function syntheticBytes(signature: Signature, rows: number, free: number): number {
  return signature.inputs.reduce((sum, { datatype, shape }) => {
    const elements = shape.reduce(
      (product, dimension, axis) => product * (dimension !== -1 ? dimension : axis === 0 ? rows : free),
      1,
    )
    return sum + elements * (elementBytes[datatype] ?? 5)
  }, 0)
}

/** Half-precision values: 1, -1, 0.5, -0.5, 0.25, -0.25, 2, -2. */
const halves = [0x3c00, 0xbc00, 0x3800, 0xb800, 0x3400, 0xb400, 0x4000, 0xc000]

function values(datatype: Datatype, count: number, perRow: number, { wide, random }: SyntheticOptions): Uint8Array {
  const bit = (index: number): number => ((perRow > 1 && index % perRow === 0) || random() < 0.5 ? 1 : 0)
  const real = () => (wide ? random() * 16 : random() * 2 - 1)
  const fill = <T extends { [index: number]: E; buffer: ArrayBufferLike }, E>(array: T, of: (index: number) => E) => {
    for (let index = 0; index < count; index++) array[index] = of(index)
    return new Uint8Array(array.buffer)
  }
  switch (datatype) {
    case 'FP32':
      return fill(new Float32Array(count), real)
    case 'FP64':
      return fill(new Float64Array(count), real)
    case 'FP16':
      return fill(new Uint16Array(count), () => halves[Math.floor(random() * halves.length)] ?? 0)
    case 'INT64':
    case 'UINT64':
      return fill(new BigInt64Array(count), (index) => BigInt(bit(index)))
    case 'INT32':
    case 'UINT32':
      return fill(new Int32Array(count), bit)
    case 'INT16':
    case 'UINT16':
      return fill(new Int16Array(count), bit)
    case 'INT8':
    case 'UINT8':
      return fill(new Uint8Array(count), wide ? () => Math.floor(random() * 128) : bit)
    case 'BOOL':
      return fill(new Uint8Array(count), bit)
    case 'BYTES': {
      const bytes = new Uint8Array(count * 5)
      for (let index = 0; index < count; index++) {
        bytes[index * 5] = 1 // The little-endian length.
        bytes[index * 5 + 4] = 0x30 + Math.floor(random() * 10)
      }
      return bytes
    }
    default:
      return datatype satisfies never
  }
}
