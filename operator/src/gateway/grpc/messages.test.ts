import fc from 'fast-check'
import { expect, test } from 'vitest'
import { headBytes } from './model-name.ts'
import { messagePrefix, RequestMessages } from './request-messages.ts'
import { ResponseMessages } from './response-messages.ts'

const frame = (message: Buffer) => Buffer.concat([messagePrefix(message.length), message])

/** Sizes around the head's, and the cuts at which the bytes arrive. */
const wire = fc.record({
  sizes: fc.array(fc.oneof(fc.nat(40), fc.integer({ min: headBytes - 3, max: headBytes + 3 }), fc.nat(9000)), {
    maxLength: 5,
  }),
  cuts: fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 20 }),
})

function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const cut: Buffer[] = []
  for (let at = 0, i = 0; at < bytes.length; i += 1) {
    const length = cuts[i % cuts.length] ?? 1
    cut.push(bytes.subarray(at, at + length))
    at += length
  }
  return cut
}

test('requests come out as they went in, however they are cut and whenever the reader is paused', () => {
  fc.assert(
    fc.property(wire, fc.array(fc.boolean(), { minLength: 1, maxLength: 7 }), ({ sizes, cuts }, pauses) => {
      const sent = sizes.map((size, i) => Buffer.alloc(size, i + 1))
      const got: Buffer[] = []
      let current: Buffer[] = []
      let ended: boolean | undefined
      let step = 0
      const maybePause = () => {
        if (pauses[step++ % pauses.length]) reader.pause()
      }
      const reader = new RequestMessages({
        onLength: (bytes) => expect(bytes).toBe(sent[got.length]?.length),
        onHead: (head, bytes) => {
          expect(head.length).toBe(Math.min(bytes, headBytes))
          current = [head]
          maybePause()
        },
        onBody: (chunk) => {
          expect(reader.isPaused).toBe(false)
          current.push(chunk)
          maybePause()
        },
        onMessageEnd: () => {
          got.push(Buffer.concat(current))
          maybePause()
        },
        onEnd: (isWhole) => {
          ended = isWhole
        },
        onInvalid: (error) => expect.fail(error),
      })
      for (const piece of pieces(Buffer.concat(sent.map(frame)), cuts)) {
        reader.push(piece)
        if (step % 3 === 0) reader.resume()
      }
      reader.end()
      for (let i = 0; i < 100_000 && reader.isPaused; i += 1) reader.resume()
      expect(got).toEqual(sent)
      expect(ended).toBe(true)
    }),
  )
})

test.each([
  ['a compressed message', [1, 0, 0, 0, 1, 0], 501],
  ['what is no frame', [71, 69, 84, 32, 47], 400],
])('%s is refused and nothing behind it is read', (_what, bytes, status) => {
  const seen: number[] = []
  const reader = new RequestMessages({
    onLength: () => seen.push(-1),
    onHead: () => seen.push(-2),
    onBody: () => seen.push(-3),
    onMessageEnd: () => seen.push(-4),
    onEnd: () => seen.push(-5),
    onInvalid: (_error, code) => seen.push(code),
  })
  reader.push(Buffer.from(bytes))
  reader.push(frame(Buffer.from('x')))
  reader.end()
  expect(seen).toEqual([status])
})

test('a message that ends early is told from a stream that ends', () => {
  const ends: boolean[] = []
  const ignore = () => {}
  const reader = new RequestMessages({
    onLength: ignore,
    onHead: ignore,
    onBody: ignore,
    onMessageEnd: ignore,
    onEnd: (isWhole) => ends.push(isWhole),
    onInvalid: ignore,
  })
  reader.push(frame(Buffer.alloc(100)).subarray(0, 50))
  reader.end()
  expect(ends).toEqual([false])
})

test('answers are counted however they are cut, and one above the limit is noticed by its length', () => {
  fc.assert(
    fc.property(wire, ({ sizes, cuts }) => {
      const bytes = Buffer.concat(sizes.map((size) => frame(Buffer.alloc(size))))
      const largest = Math.max(0, ...sizes)
      const follow = new ResponseMessages(largest)
      for (const piece of pieces(bytes, cuts)) expect(follow.push(piece)).toBe(true)
      expect(follow).toMatchObject({ completed: sizes.length, isBetween: true })
      if (largest === 0) return
      const strict = new ResponseMessages(largest - 1)
      expect(pieces(bytes, cuts).every((piece) => strict.push(piece))).toBe(false)
    }),
  )
})
