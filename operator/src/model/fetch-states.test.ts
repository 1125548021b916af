import { afterEach, expect, test } from 'vitest'
import { model } from '../../../test/builders/model.ts'
import type { Model } from '../api/model.ts'
import { createManualClock } from '../kube/manual-clock.ts'
import type { Live } from '../kube/resource.ts'
import { createStore } from '../kube/store.ts'
import { createLogger } from '../process/log.ts'
import type { FetchClient, FetchState } from './fetch-client.ts'
import { startFetchStates } from './fetch-states.ts'

const stopping: AbortController[] = []
afterEach(() => {
  for (const each of stopping.splice(0)) each.abort()
})

// Builders set uid and resourceVersion, as the API server would.
const live = (name: string) => model(name) as Live<Model>

function state(name: string, phase: FetchState['phase'], reason: FetchState['reason'] = 'Fetching'): FetchState {
  const { uid = '', namespace = '' } = live(name).metadata
  return { uid, namespace, name, generation: 1, phase, reason, message: '' }
}

/** A fetch worker that answers `worker.items`, or throws `worker.error`, and a store of Models. */
async function setUp(items: FetchState[], models: Live<Model>[], options: { exists?: boolean } = {}) {
  const clock = createManualClock()
  const worker = {
    items,
    error: undefined as Error | undefined,
    deleteError: undefined as Error | undefined,
    lists: 0,
    deleted: [] as string[],
  }
  const client: FetchClient = {
    list: async () => {
      worker.lists++
      if (worker.error !== undefined) throw worker.error
      return worker.items
    },
    put: async () => Promise.reject(new Error('not asked for here')),
    delete: async (uid) => {
      if (worker.deleteError !== undefined) throw worker.deleteError
      worker.deleted.push(uid)
      worker.items = worker.items.filter((each) => each.uid !== uid)
    },
    close: async () => undefined,
  }
  const { store, writer } = createStore<Model>({}, (thrown) => {
    throw thrown
  })
  writer.replace(models)
  const stop = new AbortController()
  stopping.push(stop)
  const log = createLogger('test', 'silent')
  const exists = async () => options.exists ?? false
  const states = startFetchStates({ client, models: store, exists, clock, log }, stop.signal)
  const told: string[] = []
  states.source.subscribe(
    (key) => told.push(key),
    () => undefined,
  )
  await clock.advance(1)
  return { clock, worker, writer, states, told }
}

test('nothing is known to be unreachable before the fetch worker was asked', async () => {
  const { states } = await setUp([state('a', 'Verified', 'Verified')], [live('a')])
  await states.source.synced
  expect(states.unreachable).toBeUndefined()
  expect(states.get(live('a').metadata.uid)?.phase).toBe('Verified')
})

test('a fetch worker that does not answer the first time is known to be unreachable', async () => {
  const { clock, worker, states, told } = await setUp([], [live('a')])
  worker.error = new Error('connection refused')
  await clock.advance(10_000)
  expect(states.unreachable).toBe('connection refused')
  expect(told).toContain('default/a')
  told.length = 0
  await clock.advance(30_000)
  expect(told).toEqual([])
  worker.error = undefined
  await clock.advance(1_000)
  expect(states.unreachable).toBeUndefined()
  expect(told).toContain('default/a')
})

test('an idle fetch worker is asked seldom, a busy one often', async () => {
  const { clock, worker } = await setUp([state('a', 'Verified', 'Verified')], [live('a')])
  worker.lists = 0
  await clock.advance(60_000)
  expect(worker.lists).toBe(6)
  worker.items = [state('a', 'Fetching')]
  await clock.advance(10_000)
  worker.lists = 0
  await clock.advance(10_000)
  expect(worker.lists).toBeGreaterThanOrEqual(15)
  expect(worker.lists).toBeLessThanOrEqual(50)
})

test('only models whose state changed are told of', async () => {
  const { clock, worker, told } = await setUp(
    [state('a', 'Fetching'), state('b', 'Verified', 'Verified')],
    [live('a'), live('b')],
  )
  told.length = 0
  worker.items = [state('a', 'Verified', 'Verified'), state('b', 'Verified', 'Verified')]
  await clock.advance(1_000)
  expect(told).toEqual(['default/a'])
})

test('a model that the fetch worker lost is told of, so that it is asked for again', async () => {
  const { clock, worker, states, told } = await setUp([state('a', 'Verified', 'Verified')], [live('a')])
  told.length = 0
  worker.items = []
  await clock.advance(10_000)
  expect(told).toEqual(['default/a'])
  expect(states.get(live('a').metadata.uid)).toBeUndefined()
})

test('a model that was just asked for is looked at soon', async () => {
  const { clock, worker, states } = await setUp([], [live('a')])
  worker.lists = 0
  worker.items = [state('a', 'Verified', 'Verified')]
  states.set(state('a', 'Pending', 'Pending'))
  await clock.advance(1_000)
  expect(worker.lists).toBeGreaterThanOrEqual(1)
  expect(states.get(live('a').metadata.uid)?.phase).toBe('Verified')
})

test('a model that is gone is forgotten', async () => {
  const { worker } = await setUp([state('gone', 'Verified', 'Verified')], [])
  expect(worker.deleted).toEqual([live('gone').metadata.uid])
})

test('a model that only a store behind its time does not know is kept', async () => {
  const { clock, worker } = await setUp([state('new', 'Verified', 'Verified')], [], { exists: true })
  await clock.advance(30_000)
  expect(worker.deleted).toEqual([])
})

test('a fetch worker that cannot forget is still reachable', async () => {
  const { clock, worker, writer, states } = await setUp([state('a', 'Verified', 'Verified')], [live('a')])
  worker.deleteError = new Error('status 500')
  writer.remove({ namespace: 'default', name: 'a' })
  await clock.advance(20_000)
  expect(states.unreachable).toBeUndefined()
  worker.deleteError = undefined
  await clock.advance(10_000)
  expect(worker.deleted).toEqual([live('a').metadata.uid])
})

test('nothing is asked any more once it was stopped', async () => {
  const { clock, worker } = await setUp([], [])
  for (const each of stopping.splice(0)) each.abort()
  worker.lists = 0
  await clock.advance(60_000)
  expect(worker.lists).toBe(0)
})
