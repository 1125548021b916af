import { expect, test } from 'vitest'
import { InferProblem } from '../problem.ts'
import { type Batching, createScheduler } from '../scheduler.ts'
import type { SessionAnswer } from '../session/session-process.ts'
import type { SessionSlot, SlotState } from '../session/session-slot.ts'
import type { InferRequest, InferResponse, Tensor } from '../tensor.ts'

const batching: Batching = {
  maxRows: 8,
  maxDelayMilliseconds: 5,
  rowOutputs: new Set(['y']),
  maxInputBytes: 1e6,
  maxOutputBytes: 1000,
}

function tensor(name: string, values: readonly number[]): Tensor {
  const bytes = Uint8Array.from(values)
  return { name, datatype: 'UINT8', shape: [values.length], byteLength: bytes.byteLength, pieces: [bytes] }
}

const valuesOf = (tensors: readonly Tensor[]) => [...Buffer.concat(tensors[0]?.pieces ?? [])]

/** A session that echoes; its runs end when the test says so. */
function session(onChange: () => void) {
  let state: SlotState = 'idle'
  const runs: { values: number[]; end(error?: Error, outputs?: readonly Tensor[]): void }[] = []
  const slot: SessionSlot = {
    get state() {
      return state
    },
    failedStarts: 0,
    pid: undefined,
    firstLoad: new Promise(() => undefined),
    run: (request) => {
      if (state !== 'idle') throw new Error('the session is busy')
      state = 'busy'
      const { promise, resolve, reject } = Promise.withResolvers<SessionAnswer>()
      const values = valuesOf(request.inputs)
      const end = (error?: Error, outputs: readonly Tensor[] = [tensor('y', values)]) => {
        state = 'idle'
        if (error === undefined) resolve({ outputs, runMicros: 7 })
        else reject(error)
        onChange()
      }
      runs.push({ values, end })
      return promise
    },
    stop: async () => undefined,
  }
  return { slot, runs }
}

function setUp(sessions = 1, options: Partial<Batching> = {}) {
  let time = 0
  const timers = new Set<{ at: number; call: () => void }>()
  const soon: (() => void)[] = []
  let broken: string | undefined
  const all = Array.from({ length: sessions }, () => session(() => scheduler.dispatch()))
  const scheduler = createScheduler({
    slots: () => all.map(({ slot }) => slot),
    queueDepth: 100,
    metrics: { queued: () => undefined, executed: () => undefined },
    onNotByRows: (message) => {
      broken = message
    },
    now: () => time,
    wallClock: () => 1000 + time,
    after: (milliseconds, call) => {
      const timer = { at: time + milliseconds, call }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    soon: (call) => soon.push(call),
  })
  scheduler.batch({ ...batching, ...options })
  const settle = async () => {
    for (const call of soon.splice(0)) call()
    for (let turn = 0; turn < 10; turn++) await Promise.resolve()
  }
  return {
    scheduler,
    runs: (index = 0) => all[index]?.runs ?? [],
    settle,
    broken: () => broken,
    submit: (
      values: readonly number[],
      change: { deadlineAt?: number; signal?: AbortSignal; outputs?: string[] } = {},
    ) => {
      const request: InferRequest = { inputs: [tensor('x', values)], outputs: change.outputs ?? ['y'] }
      const answer = scheduler.submit({
        request,
        deadlineAt: change.deadlineAt ?? 10_000,
        signal: change.signal ?? new AbortController().signal,
      })
      answer.catch(() => undefined)
      return answer
    },
    pass: async (milliseconds: number) => {
      time += milliseconds
      for (const timer of [...timers].filter(({ at }) => at <= time)) {
        timers.delete(timer)
        timer.call()
      }
      await settle()
    },
  }
}

const answered = (response: InferResponse) => valuesOf(response.outputs)

test('requests that came together run together, and each gets its own rows', async () => {
  const { submit, runs, settle } = setUp()
  const all = [submit([1]), submit([2, 3]), submit([4])]
  await settle()
  expect(runs().map((run) => run.values)).toEqual([[1, 2, 3, 4]])
  runs()[0]?.end()
  expect((await Promise.all(all)).map(answered)).toEqual([[1], [2, 3], [4]])
  expect((await all[1])?.run).toEqual({ queueMicros: 0, runMicros: 7, requests: 3, rows: 4 })
})

test('while the session is busy the queue fills the next batch by itself', async () => {
  const { submit, runs, settle } = setUp()
  submit([1])
  await settle()
  submit([2])
  submit([3])
  await settle()
  expect(runs()).toHaveLength(1)
  runs()[0]?.end()
  await settle()
  expect(runs().map((run) => run.values)).toEqual([[1], [2, 3]])
})

test('a lone caller never waits', async () => {
  const { submit, runs, settle, pass } = setUp()
  for (let call = 0; call < 5; call++) {
    const answer = submit([call])
    await settle()
    expect(runs()).toHaveLength(call + 1)
    runs()[call]?.end()
    await answer
    await pass(1)
  }
})

test('who used to come with others waits for them, no longer than the delay', async () => {
  const { submit, runs, settle, pass } = setUp()
  const together = [submit([1]), submit([2]), submit([3])]
  await settle()
  await pass(6)
  runs()[0]?.end()
  await Promise.all(together)
  submit([4])
  await settle()
  expect(runs()).toHaveLength(1)
  await pass(3)
  submit([5])
  await settle()
  expect(runs()).toHaveLength(1)
  await pass(2)
  expect(runs()[1]?.values).toEqual([4, 5])
})

test('a batch does not wait any longer once all who usually come are there', async () => {
  const { submit, runs, settle, pass } = setUp()
  const together = [submit([1]), submit([2])]
  await settle()
  await pass(6)
  runs()[0]?.end()
  await Promise.all(together)
  submit([3])
  await settle()
  await pass(1)
  submit([4])
  await settle()
  expect(runs()[1]?.values).toEqual([3, 4])
})

test('where a run takes less than a millisecond nobody waits', async () => {
  const { submit, runs, settle } = setUp()
  const together = [submit([1]), submit([2])]
  await settle()
  runs()[0]?.end()
  await Promise.all(together)
  submit([3])
  await settle()
  expect(runs()[1]?.values).toEqual([3])
})

test('who leaves while waiting leaves the batch', async () => {
  const { submit, runs, settle, scheduler } = setUp()
  submit([1])
  await settle()
  const client = new AbortController()
  const gone = submit([2], { signal: client.signal })
  const stays = submit([3])
  client.abort(new Error('gone'))
  await expect(gone).rejects.toThrow('gone')
  expect(scheduler.waiting).toBe(1)
  runs()[0]?.end()
  await settle()
  expect(runs()[1]?.values).toEqual([3])
  runs()[1]?.end()
  expect(answered(await stays)).toEqual([3])
})

test('whose deadline passes while waiting leaves the batch too', async () => {
  const { submit, runs, settle, pass } = setUp()
  submit([1])
  await settle()
  const late = submit([2], { deadlineAt: 4 })
  submit([3])
  await pass(4)
  runs()[0]?.end()
  await expect(late).rejects.toMatchObject({ problem: 'DeadlineExceeded' })
  await settle()
  expect(runs()[1]?.values).toEqual([3])
})

test('who leaves while the batch runs changes nothing for the others', async () => {
  const { submit, runs, settle } = setUp()
  const client = new AbortController()
  const gone = submit([1], { signal: client.signal })
  const stays = submit([2])
  await settle()
  client.abort(new Error('gone'))
  await expect(gone).rejects.toThrow('gone')
  runs()[0]?.end()
  expect(answered(await stays)).toEqual([2])
})

test('when a batch fails only the guilty member fails', async () => {
  const { submit, runs, settle, pass } = setUp()
  const [good, bad, fine] = [submit([1]), submit([13]), submit([2])]
  await settle()
  await pass(6)
  runs()[0]?.end(new InferProblem('ModelFailed', 'the model failed on this input'))
  await settle()
  const later = submit([3])
  for (let index = 1; index <= 4; index++) {
    await pass(5)
    const run = runs()[index]
    run?.end(run.values.includes(13) ? new InferProblem('ModelFailed', 'the model failed on this input') : undefined)
  }
  await expect(bad).rejects.toMatchObject({ problem: 'ModelFailed' })
  expect((await Promise.all([good, fine, later])).map(answered)).toEqual([[1], [2], [3]])
  expect(runs().map((run) => run.values)).toEqual([[1, 13, 2], [1], [13], [2], [3]])
})

test('a lost session concerns all members, and nobody runs twice', async () => {
  const { submit, runs, settle } = setUp()
  const all = [submit([1]), submit([2])]
  await settle()
  runs()[0]?.end(new InferProblem('SessionLost', 'the session process ended'))
  for (const one of all) await expect(one).rejects.toMatchObject({ problem: 'SessionLost' })
  await settle()
  expect(runs()).toHaveLength(1)
})

test('outputs that are not by rows end batching for good, and the members run one by one', async () => {
  const { submit, runs, settle, broken } = setUp()
  const all = [submit([1]), submit([2])]
  await settle()
  runs()[0]?.end(undefined, [tensor('y', [3])])
  await settle()
  runs()[1]?.end()
  await settle()
  runs()[2]?.end()
  expect((await Promise.all(all)).map(answered)).toEqual([[1], [2]])
  expect(broken()).toContain('"y"')
  submit([4])
  submit([5])
  await settle()
  expect(runs()[3]?.values).toEqual([4])
})

test('requests for outputs that are not by rows run alone', async () => {
  const { submit, runs, settle } = setUp()
  submit([1], { outputs: ['sum'] })
  submit([2], { outputs: ['sum'] })
  await settle()
  expect(runs().map((run) => run.values)).toEqual([[1]])
})

test('idle sessions share what came together', async () => {
  const { submit, runs, settle } = setUp(2)
  for (const value of [1, 2, 3, 4]) submit([value])
  await settle()
  expect([runs(0)[0]?.values, runs(1)[0]?.values]).toEqual([
    [1, 2],
    [3, 4],
  ])
})

test('batches whose answer would be too large get smaller, once it is known what a row takes', async () => {
  const { submit, runs, settle } = setUp(1, { maxOutputBytes: 2 })
  const first = submit([1])
  await settle()
  runs()[0]?.end()
  await first
  for (const value of [2, 3, 4]) submit([value])
  await settle()
  expect(runs()[1]?.values).toEqual([2, 3])
})

test('the statistics tell runs, rows and times by size of the batch', async () => {
  const { submit, runs, settle, scheduler, pass } = setUp()
  const all = [submit([1]), submit([2])]
  await settle()
  const third = submit([3])
  await pass(3)
  runs()[0]?.end()
  await Promise.all(all)
  await pass(2)
  runs()[1]?.end()
  await third
  expect(scheduler.statistics()).toMatchObject({
    runs: 2,
    requests: 3,
    rows: 3,
    runMicros: 14,
    lastRunAt: 1003,
    queueMicros: 3000,
  })
  expect(scheduler.statistics().batches).toEqual([
    { rows: 1, runs: 1, runMicros: 7 },
    { rows: 2, runs: 1, runMicros: 7 },
  ])
})
