import { expect, test } from 'vitest'
import { createScheduler } from './scheduler.ts'
import type { SessionAnswer } from './session/session-process.ts'
import type { SessionSlot, SlotState } from './session/session-slot.ts'
import type { InferRequest } from './tensor.ts'

const noMetrics = { queued: () => undefined, executed: () => undefined }
const soon = () => performance.now() + 10_000

function fakeSlot(onChange: () => void) {
  const runs: { request: InferRequest; done(): void }[] = []
  let state: SlotState = 'idle'
  const slot: SessionSlot = {
    get state() {
      return state
    },
    failedStarts: 0,
    pid: undefined,
    firstLoad: new Promise(() => undefined),
    run: (request) => {
      state = 'busy'
      const { promise, resolve } = Promise.withResolvers<SessionAnswer>()
      const done = () => {
        state = 'idle'
        resolve({ outputs: [], runMicros: 1 })
        onChange()
      }
      runs.push({ request, done })
      return promise
    },
    stop: async () => undefined,
  }
  return { slot, runs }
}

function setUp(queueDepth: number) {
  const scheduler = createScheduler({ slots: () => [fake.slot], queueDepth, metrics: noMetrics })
  const fake = fakeSlot(() => scheduler.dispatch())
  const submit = (name: string, deadlineAt = soon(), signal = new AbortController().signal) =>
    scheduler.submit({ request: { inputs: [], outputs: [name] }, deadlineAt, signal })
  const order = () => fake.runs.map((run) => run.request.outputs[0])
  return { scheduler, submit, runs: fake.runs, order }
}

test('requests run in order of arrival, one a session', async () => {
  const { submit, runs, order } = setUp(4)
  const all = ['a', 'b', 'c'].map((name) => submit(name))
  expect(order()).toEqual(['a'])
  runs[0]?.done()
  expect(order()).toEqual(['a', 'b'])
  runs[1]?.done()
  runs[2]?.done()
  await Promise.all(all)
})

test('a full queue refuses and what waits stays', async () => {
  const { submit, scheduler } = setUp(2)
  submit('running').catch(() => undefined)
  submit('1').catch(() => undefined)
  submit('2').catch(() => undefined)
  expect(scheduler.isFull).toBe(true)
  await expect(submit('3')).rejects.toMatchObject({ problem: 'QueueFull' })
  expect(scheduler.waiting).toBe(2)
})

test('a request whose client left is dropped from the queue and never run', async () => {
  const { submit, runs, order, scheduler } = setUp(2)
  submit('running').catch(() => undefined)
  const client = new AbortController()
  const gone = submit('gone', soon(), client.signal)
  submit('next').catch(() => undefined)
  client.abort(new Error('gone'))
  await expect(gone).rejects.toThrow('gone')
  expect(scheduler.waiting).toBe(1)
  runs[0]?.done()
  expect(order()).toEqual(['running', 'next'])
})

test('a request whose deadline passed while it waited is never run', async () => {
  const { submit, runs, order } = setUp(2)
  submit('running').catch(() => undefined)
  const late = submit('late', performance.now() - 1)
  runs[0]?.done()
  await expect(late).rejects.toMatchObject({ problem: 'DeadlineExceeded' })
  expect(order()).toEqual(['running'])
})
