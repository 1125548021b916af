import { once } from 'node:events'
import { expect, test } from 'vitest'
import { createManualClock } from '../../kube/manual-clock.ts'
import { paced } from './paced.ts'

const piece = Buffer.alloc(10_240)

test('pieces wait as long as they are told', async () => {
  const clock = createManualClock()
  const pace = paced({ spend: () => 500, stallSeconds: 30, clock })
  const seen: number[] = []
  pace.on('data', () => seen.push(clock.monotonic()))
  pace.write(piece)
  pace.end(piece)
  await clock.advance(2000)
  expect(seen).toEqual([500, 1000])
  expect(clock.pending).toBe(0)
})

test('a reader that takes nothing is cut, and our own pace is not held against it', async () => {
  const clock = createManualClock()
  const stalled = paced({ spend: () => 0, stallSeconds: 10, clock })
  const failed = once(stalled, 'error')
  // Nobody reads: the first window sees what fits into buffers, the second nothing.
  stalled.write(piece)
  await clock.advance(20_000)
  expect(String(await failed)).toContain('the reader took 0 bytes in 10 s')

  const slow = paced({ spend: () => 9500, stallSeconds: 10, clock })
  slow.resume()
  for (let i = 0; i < 4; i += 1) slow.write(piece)
  await clock.advance(38_000)
  expect(slow.destroyed).toBe(false)
  slow.destroy()
  expect(clock.pending).toBe(0)
})
