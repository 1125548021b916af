import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type BatchLimits, BatchQueue, type Queued } from './batch-queue.ts'

let order = 0
const item = (key: string | undefined, rows = 1, enqueuedAt = 0): Queued => ({
  order: order++,
  enqueuedAt,
  key,
  rows,
  inputBytes: 10 * rows,
})
const limits: BatchLimits = {
  maxRows: 4,
  maxDelayMilliseconds: 10,
  maxInputBytes: 1000,
  rowsThatFit: () => Number.POSITIVE_INFINITY,
}

function filled(...items: Queued[]): BatchQueue<Queued> {
  const queue = new BatchQueue<Queued>()
  for (const one of items) queue.add(one)
  return queue
}

test('compatible requests run together, in order of arrival, whoever else lies between', () => {
  const [a1, b, a2] = [item('a'), item('b'), item('a')]
  expect(filled(a1, b, a2).next(0, 1, limits, false)).toEqual({ kind: 'run', members: [a1, a2] })
})

test('whoever came first runs first, also when another group is full', () => {
  const rare = item('rare')
  expect(filled(rare, ...['b', 'b', 'b', 'b'].map((key) => item(key))).next(0, 1, limits, false)).toEqual({
    kind: 'run',
    members: [rare],
  })
})

test('a batch ends before its rows, its bytes or the bytes of its answer get too many', () => {
  const [a, b, c] = [item('a', 2), item('a', 1), item('a', 2)]
  const members = (change: Partial<BatchLimits>) => {
    const next = filled(a, b, c).next(0, 1, { ...limits, ...change }, false)
    return next?.kind === 'run' ? next.members : undefined
  }
  expect(members({})).toEqual([a, b])
  expect(members({ maxRows: 5 })).toEqual([a, b, c])
  expect(members({ maxInputBytes: 29 })).toEqual([a])
  expect(members({ rowsThatFit: () => 2 })).toEqual([a])
})

test('a request larger than a batch runs alone', () => {
  const [large, small] = [item('a', 9), item('a')]
  expect(filled(large, small).next(0, 1, limits, true)).toEqual({ kind: 'run', members: [large] })
  expect(filled(small, large).next(0, 1, limits, false)).toEqual({ kind: 'run', members: [small] })
})

test('while others are expected a group waits, until its delay is over or it is full', () => {
  const queue = filled(item('a', 1, 100), item('a', 1, 105))
  expect(queue.next(105, 1, limits, true)).toEqual({ kind: 'wait', until: 110 })
  expect(queue.next(110, 1, limits, true)).toMatchObject({ kind: 'run' })
  queue.add(item('a', 2, 106))
  expect(queue.next(106, 1, limits, true)).toMatchObject({ kind: 'run' })
})

test('what cannot be joined does not wait for a group that waits', () => {
  const alone = item(undefined, 1, 101)
  expect(filled(item('a', 1, 100), alone).next(101, 1, limits, true)).toEqual({ kind: 'run', members: [alone] })
})

test('idle sessions share a group', () => {
  const items = [item('a'), item('a'), item('a')]
  expect(filled(...items).next(0, 2, limits, false)).toEqual({ kind: 'run', members: items.slice(0, 2) })
})

test('members of a failed batch run one by one before all others', () => {
  const [first, again] = [item('a'), item('a')]
  const queue = filled(first)
  queue.addAgain(again)
  expect(queue.next(0, 1, limits, true)).toEqual({ kind: 'run', members: [again] })
  queue.delete(again)
  expect(queue.next(0, 1, limits, false)).toEqual({ kind: 'run', members: [first] })
  expect(queue.size).toBe(1)
})

test('every request runs exactly once, within the limits, and none is passed over for one of its group that came later', () => {
  const arbitrary = fc.array(
    fc.record({ key: fc.constantFrom('a', 'b', 'c', undefined), rows: fc.integer({ min: 1, max: 6 }) }),
    { maxLength: 30 },
  )
  fc.assert(
    fc.property(arbitrary, fc.integer({ min: 1, max: 3 }), (list, idle) => {
      const items = list.map(({ key, rows }) => item(key, rows))
      const queue = filled(...items)
      const ran: Queued[] = []
      for (;;) {
        const next = queue.next(0, idle, limits, false)
        if (next === undefined) break
        if (next.kind === 'wait') throw new Error('nobody is expected')
        expect(next.members[0]).toBe(items.find((one) => !ran.includes(one)))
        if (next.members.length > 1) expect(next.members.reduce((sum, one) => sum + one.rows, 0)).toBeLessThanOrEqual(4)
        for (const member of next.members) {
          queue.delete(member)
          ran.push(member)
        }
      }
      expect(new Set(ran)).toEqual(new Set(items))
      expect(ran).toHaveLength(items.length)
      for (const key of ['a', 'b', 'c']) {
        expect(ran.filter((one) => one.key === key)).toEqual(items.filter((one) => one.key === key))
      }
    }),
  )
})
