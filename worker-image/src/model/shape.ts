import type Long from 'long'
import { type CheckContext, refuse, toBigInt } from './check-context.ts'

/** Bits of one element by TensorProto.DataType; strings have no fixed size. */
const elementBits: Record<number, number> = {
  1: 32,
  2: 8,
  3: 8,
  4: 16,
  5: 16,
  6: 32,
  7: 64,
  9: 8,
  10: 16,
  11: 64,
  12: 32,
  13: 64,
  14: 64,
  15: 128,
  16: 16,
  17: 8,
  18: 8,
  19: 8,
  20: 8,
  21: 4,
  22: 4,
  23: 4,
  24: 8,
  25: 2,
  26: 2,
  27: 6,
  28: 6,
}

export const stringType = 8

/** Bits of one element, undefined for types without a fixed size. */
export function bitsOf(dataType: number): number | undefined {
  return elementBits[dataType]
}

/** Elements of a shape; refuses a negative dimension, too many dimensions, and more bytes than a tensor may have. */
export function elementsOf(
  dims: readonly (Long | number | null | undefined)[],
  bits: number,
  context: CheckContext,
  where: string,
): bigint {
  if (dims.length > context.limits.rank) {
    throw refuse(context, 'ShapeRefused', where, `has ${dims.length} dimensions, more than ${context.limits.rank}`)
  }
  const most = (BigInt(context.limits.tensorBytes) * 8n) / BigInt(bits)
  let elements = 1n
  let empty = false
  for (const dim of dims) {
    const size = toBigInt(dim)
    if (size < 0n)
      throw refuse(context, 'ShapeRefused', where, `has the dimension ${size}; a dynamic one is a dim_param`)
    if (size === 0n) {
      empty = true
      continue
    }
    // The other dimensions are multiplied even beside a zero: readers that multiply in another order overflow.
    elements *= size
    if (elements > most) {
      throw refuse(context, 'ShapeRefused', where, `is larger than ${context.limits.tensorBytes} bytes by its shape`)
    }
  }
  return empty ? 0n : elements
}

/** Bytes of `elements` packed without gaps. */
export function packedBytes(elements: bigint, bits: number): bigint {
  return (elements * BigInt(bits) + 7n) / 8n
}
