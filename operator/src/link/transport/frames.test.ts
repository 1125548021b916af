import { expect, test } from 'vitest'
import { createFrameReader, type FrameLimits, type FrameProblem, frameLimits } from './frames.ts'

const types = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, continuation: 9 } as const

function frame(type: keyof typeof types, stream: number, payload: Uint8Array = new Uint8Array(), flags = 0): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = types[type]
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

function reader(limits: Partial<FrameLimits> = {}, unfinished?: (difference: number) => boolean) {
  let time = 0
  const made = createFrameReader({
    ...{ expectPreface: false, limits: { ...frameLimits, ...limits }, now: () => time },
    ...(unfinished !== undefined && { unfinished }),
  })
  const readAll = (...frames: Buffer[]): FrameProblem | undefined => {
    for (const each of frames) {
      const problem = made.read(each)
      if (problem !== undefined) return problem
    }
    return undefined
  }
  return { ...made, readAll, pass: (milliseconds: number) => (time += milliseconds) }
}

const message = (bytes: number) => Buffer.concat([Buffer.from([0, 0, 0, 0, bytes]), Buffer.alloc(bytes)])

test('an ordinary call passes, however its bytes are cut', () => {
  const call = Buffer.concat([
    frame('settings', 0),
    frame('headers', 1, Buffer.alloc(40), 4),
    frame('data', 1, message(20), 1),
    frame('ping', 0, Buffer.alloc(8)),
  ])
  for (const size of [1, 2, 7, call.length]) {
    const { read } = reader()
    for (let at = 0; at < call.length; at += size) expect(read(call.subarray(at, at + size))).toBeUndefined()
  }
})

test('a client that does not begin with HTTP/2 is cut', () => {
  const { read } = createFrameReader({ expectPreface: true, limits: frameLimits, now: () => 0 })
  expect(read(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toBe('NotHttp2')
})

test('resets are bounded apart from other frames', () => {
  const { readAll } = reader({ resetBurst: 10 })
  const calls = Array.from({ length: 11 }, (_, i) => [
    frame('headers', 2 * i + 1, Buffer.alloc(10), 4),
    frame('reset', 2 * i + 1, Buffer.alloc(4)),
  ])
  expect(readAll(...calls.slice(0, 10).flat())).toBeUndefined()
  expect(readAll(...(calls[10] ?? []))).toBe('ResetFlood')
})

test('a flood of any frame is cut, and rates let a slow sender go on', () => {
  const limits = { frameBurst: 10, framesPerSecond: 10 }
  const fast = reader(limits)
  expect(fast.readAll(...Array.from({ length: 11 }, () => frame('ping', 0, Buffer.alloc(8))))).toBe('FrameFlood')
  const slow = reader(limits)
  for (let i = 0; i < 100; i++) {
    expect(slow.readAll(frame('ping', 0, Buffer.alloc(8)))).toBeUndefined()
    slow.pass(100)
  }
})

test('headers that never end are cut', () => {
  const { readAll } = reader()
  const parts = Array.from({ length: 20 }, () => frame('continuation', 1, Buffer.alloc(1000)))
  expect(readAll(frame('headers', 1, Buffer.alloc(100)), ...parts)).toBe('HeadersTooLarge')
})

test('a frame, a message and a number of calls over the limit are cut', () => {
  expect(reader().readAll(frame('data', 1, Buffer.alloc(16_385)))).toBe('FrameTooLarge')
  const { readAll } = reader({ messageBytes: 10_000 })
  expect(readAll(frame('headers', 1, Buffer.alloc(4), 4), frame('data', 1, Buffer.alloc(10_001)))).toBe(
    'MessageTooLarge',
  )
  const announced = Buffer.from([0, 0x40, 0, 0, 0])
  expect(reader().readAll(frame('headers', 1, Buffer.alloc(4), 4), frame('data', 1, announced))).toBe('MessageTooLarge')
  const many = reader({ streams: 3 })
  const calls = [1, 3, 5, 7].map((stream) => frame('headers', stream, Buffer.alloc(4), 4))
  expect(many.readAll(...calls)).toBe('TooManyStreams')
})

test('a compressed message is cut at its first byte, behind padding too', () => {
  const compressed = Buffer.from([1, 0, 0, 0, 1, 9])
  expect(reader().readAll(frame('headers', 1, Buffer.alloc(4), 4), frame('data', 1, compressed))).toBe(
    'CompressionRefused',
  )
  const behindPadding = Buffer.concat([Buffer.from([2]), compressed, Buffer.alloc(2)])
  const { readAll } = reader()
  expect(readAll(frame('headers', 1, Buffer.alloc(4), 4), frame('data', 1, behindPadding, 8))).toBe(
    'CompressionRefused',
  )
})

test('a call that takes too long to arrive is found, one that has ended is not', () => {
  const { readAll, overdue, pass } = reader({ callSeconds: 10 })
  readAll(
    frame('headers', 1, Buffer.alloc(4), 4),
    frame('headers', 3, Buffer.alloc(4), 4),
    frame('data', 3, message(1), 1),
  )
  pass(9000)
  expect(overdue()).toBeUndefined()
  pass(2000)
  expect(overdue()).toBe('TrickledCall')
  readAll(frame('data', 1, message(1), 1))
  expect(overdue()).toBeUndefined()
})

test('bytes of unfinished calls are counted for all connections together, and given back', () => {
  let bytes = 0
  const unfinished = (difference: number) => {
    bytes += difference
    return bytes <= 1000
  }
  const first = reader({}, unfinished)
  const second = reader({}, unfinished)
  first.readAll(frame('headers', 1, Buffer.alloc(4), 4), frame('data', 1, message(200)))
  expect(bytes).toBe(205)
  first.readAll(frame('data', 1, Buffer.alloc(0), 1))
  expect(bytes).toBe(0)
  second.readAll(frame('headers', 1, Buffer.alloc(4), 4), frame('data', 1, Buffer.alloc(600)))
  expect(first.readAll(frame('headers', 3, Buffer.alloc(4), 4), frame('data', 3, Buffer.alloc(600)))).toBe(
    'TooMuchUnfinished',
  )
  first.release()
  second.release()
  expect(bytes).toBe(0)
})
