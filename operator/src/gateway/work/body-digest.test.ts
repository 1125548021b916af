import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BodyDigest } from './body-digest.ts'

test('however a body is cut into pieces, its digest is that of the whole', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 5 }), (pieces) => {
      const digest = new BodyDigest()
      for (const piece of pieces) digest.update(Buffer.from(piece))
      const whole = Buffer.concat(pieces)
      expect(digest.bytes).toBe(whole.length)
      expect(digest.digest()).toEqual(createHash('sha256').update(whole).digest())
    }),
  )
})
