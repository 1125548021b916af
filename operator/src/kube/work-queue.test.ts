import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createManualClock } from './manual-clock.ts'
import { createWorkQueue } from './work-queue.ts'

test('a key that is asked for many times before its work begins is worked on once', async () => {
  const queue = createWorkQueue(createManualClock())
  for (let n = 0; n < 5; n++) queue.add('a')
  queue.add('b')
  expect(queue.depth).toBe(2)
  expect(await queue.take()).toBe('a')
  expect(await queue.take()).toBe('b')
  expect(queue.depth).toBe(0)
})

test('a key that is asked for during its work is worked on again, and not before that work is done', async () => {
  const queue = createWorkQueue(createManualClock())
  queue.add('a')
  expect(await queue.take()).toBe('a')
  queue.add('a')
  queue.add('a')
  let next: string | undefined
  const taken = queue.take().then((key) => {
    next = key
  })
  await Promise.resolve()
  expect(next).toBeUndefined()
  queue.done('a')
  await taken
  expect(next).toBe('a')
  queue.done('a')
  expect(queue.depth).toBe(0)
})

test('groups are served in turn, each in the order of its keys', async () => {
  const queue = createWorkQueue(createManualClock(), (key) => key[0] ?? '')
  for (const key of ['a1', 'a2', 'a3', 'b1', 'b2', 'c1']) queue.add(key)
  const taken: (string | undefined)[] = []
  for (let n = 0; n < 3; n++) taken.push(await queue.take())
  queue.add('d1')
  for (let n = 0; n < 4; n++) taken.push(await queue.take())
  expect(taken).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'd1', 'a3'])
  expect(queue.depth).toBe(0)
})

test('a key whose group changes while it waits is still worked on once', async () => {
  let group = 'one'
  const queue = createWorkQueue(createManualClock(), () => group)
  queue.add('a')
  group = 'two'
  queue.add('a')
  expect(queue.depth).toBe(1)
  expect(await queue.take()).toBe('a')
  expect(queue.depth).toBe(0)
})

test('of several later times the earliest counts', async () => {
  const clock = createManualClock()
  const queue = createWorkQueue(clock)
  queue.addAfter('a', 5_000)
  queue.addAfter('a', 1_000)
  queue.addAfter('a', 9_000)
  await clock.advance(999)
  expect(queue.depth).toBe(0)
  await clock.advance(1)
  expect(queue.depth).toBe(1)
  expect(clock.pending).toBe(0)
})

test('a key that keeps failing is tried again after 1,000 s at the latest, and after a success in 5 ms', async () => {
  const clock = createManualClock()
  const queue = createWorkQueue(clock)
  for (let n = 0; n < 20; n++) {
    queue.addRateLimited('a')
    await clock.advance(1_000_000)
    expect(queue.depth).toBe(1)
    expect(await queue.take()).toBe('a')
    queue.done('a')
  }
  queue.forget('a')
  queue.addRateLimited('a')
  await clock.advance(4)
  expect(queue.depth).toBe(0)
  await clock.advance(1)
  expect(queue.depth).toBe(1)
})

test('each failure doubles the pause', async () => {
  const clock = createManualClock()
  const queue = createWorkQueue(clock)
  for (const pause of [5, 10, 20, 40, 80]) {
    queue.addRateLimited('a')
    await clock.advance(pause - 1)
    expect(queue.depth).toBe(0)
    await clock.advance(1)
    expect(queue.depth).toBe(1)
    queue.done((await queue.take()) ?? '')
  }
})

test('many failing keys together are tried again 10 times a second after a burst of 100', async () => {
  const clock = createManualClock()
  const queue = createWorkQueue(clock)
  for (let n = 0; n < 200; n++) queue.addRateLimited(`key-${n}`)
  await clock.advance(5)
  expect(queue.depth).toBe(100)
  await clock.advance(5_000)
  expect(queue.depth).toBe(150)
})

test('shutting down hands out nothing more and waits for the work under way', async () => {
  const clock = createManualClock()
  const queue = createWorkQueue(clock)
  queue.add('a')
  queue.addAfter('later', 1_000)
  await queue.take()
  const waiting = queue.take()
  let drained = false
  const shut = queue.shutDown().then(() => {
    drained = true
  })
  expect(await waiting).toBeUndefined()
  queue.add('b')
  await clock.advance(2_000)
  expect(drained).toBe(false)
  expect(await queue.take()).toBeUndefined()
  queue.done('a')
  await shut
  expect(queue.depth).toBe(0)
})

type Step = { do: 'add' | 'addAfter' | 'fail' | 'take' | 'done' | 'advance'; key: string; amount: number }

const steps = fc.array(
  fc.record<Step>({
    do: fc.constantFrom('add', 'addAfter', 'fail', 'take', 'done', 'advance'),
    key: fc.constantFrom('a', 'b', 'c'),
    amount: fc.integer({ min: 0, max: 3_000 }),
  }),
  { maxLength: 60 },
)

test('in any order of calls, no key is worked on twice at once and no request is lost', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const clock = createManualClock()
      const queue = createWorkQueue(clock)
      const working = new Set<string>()
      const owed = new Set<string>()
      const taken: string[] = []
      let takers = 0

      const take = () => {
        takers++
        void queue.take().then((key) => {
          takers--
          if (key === undefined) return
          expect(working.has(key)).toBe(false)
          working.add(key)
          owed.delete(key)
          taken.push(key)
        })
      }

      for (const step of script) {
        if (step.do === 'add') queue.add(step.key)
        if (step.do === 'addAfter') queue.addAfter(step.key, step.amount)
        if (step.do === 'fail') queue.addRateLimited(step.key)
        if (['add', 'addAfter', 'fail'].includes(step.do)) owed.add(step.key)
        if (step.do === 'take' && takers === 0) take()
        if (step.do === 'done' && working.delete(step.key)) queue.done(step.key)
        await clock.advance(step.do === 'advance' ? step.amount : 0)
      }
      await clock.advance(10_000_000)
      for (let round = 0; round < 10; round++) {
        for (const key of working) queue.done(key)
        working.clear()
        if (takers === 0) take()
        await clock.advance(0)
      }
      expect([...owed]).toEqual([])
      expect(queue.depth).toBe(0)
    }),
    { numRuns: 60 },
  )
})
