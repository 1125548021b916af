import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createManualClock } from '../../kube/manual-clock.ts'
import { ByteBudget } from './byte-budget.ts'
import { type HoldEnd, HoldQueue } from './hold-queue.ts'

function rig(options: { maxHeld?: number; maxBytes?: number } = {}) {
  const clock = createManualClock()
  const service = { maxHeld: options.maxHeld ?? 100, isAwake: false, free: 0, held: 0, waiting: 0 }
  const ends: { name: string; end: HoldEnd }[] = []
  const queue = new HoldQueue(
    {
      get maxHeld() {
        return service.maxHeld
      },
      get isAwake() {
        return service.isAwake
      },
      freePlaces: () => service.free,
      onHeld: (count) => {
        service.held = count
      },
    },
    {
      clock,
      bytes: new ByteBudget(options.maxBytes ?? 1000),
      onWaiting: () => {
        service.waiting += 1
      },
    },
  )
  const wait = (name: string, { bytes = 0, seconds = 60 } = {}) =>
    queue.wait({ caller: name.slice(0, 1), until: clock.monotonic() + seconds * 1000, bytes }, (end) => {
      if (end.released) service.free -= 1
      ends.push({ name, end })
    })
  const wake = async (free: number) => {
    service.isAwake = true
    service.free = free
    queue.changed()
    await clock.advance(0)
  }
  return { clock, service, queue, ends, wait, wake, names: () => ends.map(({ name }) => name) }
}

test('callers take turns, each in the order in which it came', async () => {
  const { wait, wake, names, service, ends } = rig()
  for (const name of ['a1', 'a2', 'a3', 'b1', 'a4', 'c1', 'b2']) wait(name)
  expect(service).toMatchObject({ held: 7, waiting: 7 })
  await wake(100)
  expect(names()).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3', 'a4'])
  expect(ends.every(({ end }) => end.released)).toBe(true)
  expect(service.held).toBe(0)
})

test('no more are let go than there are places; the others go as places become free, also without being told', async () => {
  const { wait, wake, names, service, clock } = rig()
  for (let i = 0; i < 6; i += 1) wait(`a${i}`)
  await wake(2)
  expect(names()).toHaveLength(2)
  await wake(1)
  expect(names()).toHaveLength(3)
  service.free = 3
  await clock.advance(100)
  expect(names()).toEqual(['a0', 'a1', 'a2', 'a3', 'a4', 'a5'])
})

test('who comes when the line is full is refused at once, with the time that a wake-up took lately', async () => {
  const { wait, wake, ends, clock, service } = rig({ maxHeld: 1 })
  wait('a1')
  await clock.advance(12_000)
  await wake(1)
  service.isAwake = false
  wait('a2')
  await clock.advance(3000)
  wait('b1')
  expect(ends.at(-1)).toEqual({ name: 'b1', end: { released: false, reason: 'full', heldMs: 0, retryAfterSeconds: 9 } })
  await clock.advance(30_000)
  wait('b2')
  expect(ends.at(-1)?.end).toMatchObject({ reason: 'full', retryAfterSeconds: 1 })
})

test('bodies in memory are bounded, and their room comes back', () => {
  const { wait, ends } = rig({ maxBytes: 100 })
  const leave = wait('a1', { bytes: 80 })
  wait('a2', { bytes: 30 })
  expect(ends).toMatchObject([{ name: 'a2', end: { reason: 'full' } }])
  leave()
  wait('a3', { bytes: 100 })
  expect(ends).toHaveLength(1)
})

test('a request waits as long as it may; one that leaves is not told, and its place is free', async () => {
  const { wait, ends, clock, service, wake } = rig()
  wait('a1', { seconds: 5 })
  const leave = wait('a2')
  leave()
  leave()
  expect(service.held).toBe(1)
  await clock.advance(4999)
  expect(ends).toEqual([])
  await clock.advance(1)
  expect(ends).toMatchObject([{ name: 'a1', end: { released: false, reason: 'waited', heldMs: 5000 } }])
  await wake(10)
  expect(ends).toHaveLength(1)
  expect(clock.pending).toBe(0)
})

test('all can be refused at once', () => {
  const { wait, queue, ends, service } = rig()
  for (const name of ['a1', 'b1', 'b2']) wait(name)
  queue.refuseAll('draining')
  expect(ends.map(({ end }) => !end.released && end.reason)).toEqual(['draining', 'draining', 'draining'])
  expect(service.held).toBe(0)
})

test('whatever happens, every request ends exactly once, the count is right, and nothing waits while there is room', async () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ do: fc.constant('wait' as const), caller: fc.constantFrom('a', 'b', 'c') }),
      fc.record({ do: fc.constant('leave' as const), which: fc.nat(50) }),
      fc.record({ do: fc.constant('wake' as const), free: fc.nat(4) }),
      fc.record({ do: fc.constant('sleep' as const), ms: fc.nat(400) }),
    ),
    { maxLength: 40 },
  )
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const { wait, wake, ends, service, clock, queue } = rig({ maxHeld: 8 })
      const leaves: { name: string; leave: () => void }[] = []
      const left = new Set<string>()
      let count = 0
      for (const step of script) {
        if (step.do === 'wait') {
          count += 1
          const name = `${step.caller}${count}`
          leaves.push({ name, leave: wait(name, { seconds: 0.5 }) })
        } else if (step.do === 'leave') {
          const chosen = leaves[step.which]
          if (chosen === undefined || ends.some(({ name }) => name === chosen.name)) continue
          chosen.leave()
          left.add(chosen.name)
        } else if (step.do === 'wake') await wake(step.free)
        else await clock.advance(step.ms)
        const names = ends.map(({ name }) => name)
        expect(new Set(names).size).toBe(names.length)
        expect(names.some((name) => left.has(name))).toBe(false)
        expect(service.held).toBe(count - names.length - left.size)
        expect(queue.size).toBe(service.held)
        expect(service.free).toBeGreaterThanOrEqual(0)
        if (step.do === 'wake' && service.held > 0) expect(service.free).toBe(0)
      }
      await clock.advance(1000)
      expect(ends).toHaveLength(count - left.size)
      expect(clock.pending).toBe(0)
    }),
    { numRuns: 60 },
  )
})
