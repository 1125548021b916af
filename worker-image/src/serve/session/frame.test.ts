import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Frame, FrameReader, framePrefix } from './frame.ts'

const frame = fc.record({ header: fc.uint8Array({ maxLength: 40 }), payload: fc.uint8Array({ maxLength: 80 }) })

test('frames come out as they went in, however the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
      (frames, cuts) => {
        const stream = Buffer.concat(
          frames.flatMap(({ header, payload }) => [
            framePrefix(header.byteLength, payload.byteLength),
            header,
            payload,
          ]),
        )
        const reader = new FrameReader(1000)
        const out: Frame[] = []
        for (let at = 0, cut = 0; at < stream.byteLength; cut++) {
          const size = cuts[cut % cuts.length] ?? 1
          out.push(...reader.push(stream.subarray(at, at + size)))
          at += size
        }
        expect(out.map((one) => [Buffer.from(one.header), Buffer.concat(one.payload)])).toEqual(
          frames.map((one) => [Buffer.from(one.header), Buffer.from(one.payload)]),
        )
      },
    ),
  )
})

test('lengths over the bound are refused before anything is kept', () => {
  expect(() => new FrameReader(10).push(framePrefix(2, 11))).toThrow('frame too large')
  expect(() => new FrameReader(10).push(framePrefix(2 ** 32 - 1, 0))).toThrow('frame too large')
})
