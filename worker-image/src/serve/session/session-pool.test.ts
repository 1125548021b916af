import { expect, test } from 'vitest'
import type { Loaded } from './messages.ts'
import { createSessionPool } from './session-pool.ts'
import type { SessionProcess, SessionProcessOptions } from './session-process.ts'

const loaded: Loaded = { kind: 'loaded', inputs: [], outputs: [], provider: 'CPU' }

function setUp(change: { cpus?: number; wanted?: number; limitBytes?: number; sessionBytes?: number } = {}) {
  const started: (SessionProcessOptions & { load(): void })[] = []
  const start = (options: SessionProcessOptions): SessionProcess => {
    const load = Promise.withResolvers<Loaded>()
    const exit = Promise.withResolvers<void>()
    started.push({ ...options, load: () => load.resolve(loaded) })
    return {
      pid: started.length,
      alive: true,
      loaded: load.promise,
      run: () => Promise.reject(new Error('not in this test')),
      kill: () => exit.resolve(),
      exited: exit.promise,
    }
  }
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const pool = createSessionPool(
    {
      command: { modelPath: 'm', provider: 'CPU', onUnavailable: 'Fail', maxResponseBytes: 1 },
      env: {},
      loadSeconds: 60,
      runSeconds: 60,
      wish: { wanted: change.wanted, provider: 'CPU', cpus: change.cpus ?? 4, availableCpus: 4 },
      bufferBytes: 100,
    },
    {
      start,
      // The pool and its slots use these three of a logger alone.
      log: log as unknown as Parameters<typeof createSessionPool>[1]['log'],
      random: () => 0,
      onChange: () => undefined,
      onRestart: () => undefined,
      memory: () => ({ limitBytes: change.limitBytes ?? 1e9, workerBytes: 100 }),
      residentBytes: async () => change.sessionBytes ?? 100,
    },
  )
  const loadFirst = async () => {
    const first = pool.loadFirst()
    started[0]?.load()
    await first
  }
  return { pool, started, loadFirst, threads: () => started.map(({ command }) => command.intraOpThreads) }
}

test('the first session comes up alone, the others one after the other', async () => {
  const { pool, started, loadFirst } = setUp({ cpus: 3 })
  await loadFirst()
  expect(started).toHaveLength(1)
  const { sessions, complete } = await pool.settle()
  expect(sessions).toBe(3)
  expect(started).toHaveLength(2)
  started[1]?.load()
  await expect.poll(() => started.length).toBe(3)
  started[2]?.load()
  await complete
  expect(pool.slots.map((slot) => slot.state)).toEqual(['idle', 'idle', 'idle'])
  await pool.stop()
})

test('where memory allows one session only, it is loaded again with all threads', async () => {
  const { pool, started, loadFirst, threads } = setUp({ cpus: 4, limitBytes: 300, sessionBytes: 80 })
  await loadFirst()
  const settling = pool.settle()
  await expect.poll(() => started.length).toBe(2)
  started[1]?.load()
  expect((await settling).sessions).toBe(1)
  expect(threads()).toEqual([1, 4])
  expect(pool.slots).toHaveLength(1)
  await pool.stop()
})

test('a count that the service names is not questioned', async () => {
  const { pool, started, loadFirst, threads } = setUp({ cpus: 4, wanted: 2, limitBytes: 300, sessionBytes: 80 })
  await loadFirst()
  const { sessions, complete } = await pool.settle()
  started[1]?.load()
  await complete
  expect(sessions).toBe(2)
  expect(threads()).toEqual([2, 2])
  await pool.stop()
})
