import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type EpochFence, judgeResult, raiseFence, refuseOrigin, turnFence } from './epoch-fence.ts'

const fence: EpochFence = { requestId: 'b', attempt: 2, epoch: 7, round: 3 }
const result = { requestId: 'b', attempt: 2, epoch: 7, round: 4 }

test('the next round of the placed attempt counts', () => {
  expect(judgeResult(fence, result)).toEqual({ ok: true, fence: { ...fence, round: 4 } })
  expect(judgeResult(fence, { ...result, epoch: 8 })).toEqual({ ok: true, fence: { ...fence, epoch: 8, round: 4 } })
})

test.each([
  ['an older attempt', { ...result, attempt: 1, requestId: 'a' }, 'OlderAttempt'],
  ['an attempt that is not ours', { ...result, attempt: 3 }, 'OtherRequest'],
  ['another request of the same attempt', { ...result, requestId: 'c' }, 'OtherRequest'],
  ['an older epoch', { ...result, epoch: 6 }, 'OlderEpoch'],
  ['a round that was counted', { ...result, round: 3 }, 'Counted'],
  ['a round after the next', { ...result, round: 5 }, 'OutOfOrder'],
])('%s does not count', (_, other, reason) => {
  expect(judgeResult(fence, other)).toEqual({ ok: false, reason })
})

test('nothing counts before the work is placed', () => {
  expect(judgeResult(undefined, result)).toEqual({ ok: false, reason: 'OtherRequest' })
  expect(refuseOrigin(undefined, result)).toBe('OtherRequest')
})

test('a new attempt keeps the rounds and forgets the epoch; an older one is refused', () => {
  expect(turnFence(undefined, { requestId: 'a', attempt: 1 })).toMatchObject({
    ok: true,
    fence: { epoch: 0, round: 0 },
  })
  expect(turnFence(fence, { requestId: 'c', attempt: 3 })).toEqual({
    ok: true,
    fence: { requestId: 'c', attempt: 3, epoch: 0, round: 3 },
  })
  expect(turnFence(fence, { requestId: 'b', attempt: 2 })).toEqual({ ok: true, fence })
  expect(turnFence(fence, { requestId: 'c', attempt: 2 })).toEqual({ ok: false, reason: 'OtherRequest' })
  expect(turnFence(fence, { requestId: 'a', attempt: 1 })).toEqual({ ok: false, reason: 'OlderAttempt' })
})

test('an answer raises the fence of its own request alone', () => {
  expect(raiseFence(fence, { requestId: 'b', epoch: 9 }).epoch).toBe(9)
  expect(raiseFence(fence, { requestId: 'b', epoch: 6 })).toBe(fence)
  expect(raiseFence(fence, { requestId: 'a', epoch: 9 })).toBe(fence)
})

test('however results are repeated and mixed, each round counts once, and never for an older attempt or epoch', () => {
  const anyResult = fc.record({
    requestId: fc.constantFrom('r1', 'r2', 'r3'),
    attempt: fc.integer({ min: 1, max: 3 }),
    epoch: fc.integer({ min: 1, max: 4 }),
    round: fc.integer({ min: 1, max: 5 }),
  })
  fc.assert(
    fc.property(fc.array(fc.oneof(anyResult, fc.constant('place' as const)), { maxLength: 60 }), (events) => {
      let now: EpochFence | undefined
      const counted: number[] = []
      for (const event of events) {
        if (event === 'place') {
          const attempt = (now?.attempt ?? 0) + 1
          const turned = turnFence(now, { requestId: `r${attempt}`, attempt })
          expect(turned.ok).toBe(true)
          if (turned.ok) now = turned.fence
          continue
        }
        const judged = judgeResult(now, event)
        if (!judged.ok) continue
        expect(event.attempt).toBe(now?.attempt)
        expect(event.epoch).toBeGreaterThanOrEqual(now?.epoch ?? 0)
        counted.push(event.round)
        now = judged.fence
      }
      expect(new Set(counted).size).toBe(counted.length)
    }),
  )
})
