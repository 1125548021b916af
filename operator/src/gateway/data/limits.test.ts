import { expect, test } from 'vitest'
import { createManualClock } from '../../kube/manual-clock.ts'
import { PeerUse } from './limits.ts'

const limits = { maxRequests: 256, maxStreams: 2, bytesPerSecond: 1000, stallSeconds: 1 }

test('a peer has its places, and gives them back', () => {
  const use = new PeerUse(limits, createManualClock())
  const leave = use.enter('a')
  expect(use.enter('a')).toBeDefined()
  expect(use.enter('a')).toBeUndefined()
  expect(use.enter('b')).toBeDefined()
  leave?.()
  expect(use.streams('a')).toBe(1)
  expect(use.enter('a')).toBeDefined()
})

test('bytes of a peer keep to its rate over time, and are nothing to others', async () => {
  const clock = createManualClock()
  const use = new PeerUse(limits, clock)
  expect(use.spend('a', 100)).toBe(0)
  expect(use.spend('a', 1000)).toBeCloseTo(1000, 5)
  expect(use.spend('b', 50)).toBe(0)
  await clock.advance(1000)
  expect(use.spend('a', 100)).toBeCloseTo(100, 5)
})

test('requests beyond the burst are refused until time has passed', async () => {
  const clock = createManualClock()
  const use = new PeerUse(limits, clock)
  let asked = 0
  while (use.mayAsk('a') && asked < 1000) asked += 1
  expect(asked).toBe(100)
  expect(use.mayAsk('b')).toBe(true)
  await clock.advance(1000)
  expect(use.mayAsk('a')).toBe(true)
})
