import fc from 'fast-check'
import { expect, test } from 'vitest'
import { varint } from '../../../test/bad-input/models/onnx-bytes.ts'
import { bytesSource } from './byte-source.ts'
import { SlimWriter } from './slim-writer.ts'
import { WireError, WireReader } from './wire-reader.ts'

const reader = (bytes: Uint8Array) => new WireReader(bytesSource(bytes))

test('every 64-bit number reads as it was written, by both writers', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
      const writer = new SlimWriter()
      writer.varint(value)
      const bytes = varint(value)
      expect(Buffer.from(writer.finish()).equals(bytes)).toBe(true)
      expect(reader(bytes).varint(bytes.length)).toBe(value)
      if (value < 2n ** 32n) expect(reader(bytes).small(bytes.length)).toBe(Number(value))
      else expect(() => reader(bytes).small(bytes.length)).toThrow(WireError)
    }),
  )
})

test('a number is read in one form only: any bytes that read as it are the ones it is written as', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 11 }), (bytes) => {
      const from = reader(bytes)
      let value: bigint
      try {
        value = from.varint(bytes.length)
      } catch (error) {
        expect(error).toBeInstanceOf(WireError)
        return
      }
      expect(varint(value).equals(bytes.subarray(0, from.position))).toBe(true)
    }),
    { numRuns: 2000 },
  )
})

test('bytes read the same whether they lie in the window or across its end', () => {
  const all = Uint8Array.from({ length: 600_000 }, (_, index) => index * 7)
  const from = reader(all)
  for (const length of [1, 262_143, 5, 300_000, 20_000]) {
    const start = from.position
    expect(Buffer.from(from.bytes(length, all.length)).equals(all.subarray(start, start + length))).toBe(true)
  }
  from.skipTo(599_999, all.length)
  expect(from.byte(all.length)).toBe(all[599_999])
  expect(() => from.byte(all.length)).toThrow(WireError)
})
