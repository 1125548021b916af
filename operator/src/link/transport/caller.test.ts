import { createServer } from 'node:http2'
import { duplexPair } from 'node:stream'
import { expect, test, vi } from 'vitest'
import { createManualClock } from '../../kube/manual-clock.ts'
import { openCaller } from './caller.ts'

test('a caller measures the round trip with its pings', async () => {
  const [ours, theirs] = duplexPair()
  const server = createServer()
  server.emit('connection', theirs)
  const clock = createManualClock()
  const caller = openCaller(ours, { clock })
  expect(caller.roundTrip()).toBeUndefined()
  clock.advance(4_000)
  await vi.waitFor(() => expect(caller.roundTrip()).toBeGreaterThan(0))
  expect(caller.roundTrip()).toBeLessThan(2_000)
  await caller.close(1_000)
})
