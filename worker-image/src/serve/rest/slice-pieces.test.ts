import fc from 'fast-check'
import { expect, test } from 'vitest'
import { slicePieces } from './slice-pieces.ts'

test('a slice of pieces is the slice of the whole, without a copy', () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 9 }), { maxLength: 8 })
  fc.assert(
    fc.property(pieces, fc.nat(60), fc.nat(60), (parts, offset, length) => {
      const slice = slicePieces(parts, offset, length)
      expect(Buffer.concat(slice)).toEqual(Buffer.concat(parts).subarray(offset, offset + length))
      for (const part of slice) expect(parts.some((piece) => piece.buffer === part.buffer)).toBe(true)
    }),
  )
})
