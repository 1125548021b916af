import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { HansaError } from '../process/errors.ts'
import { createLogger } from '../process/log.ts'
import { KubeApiError } from './api-error.ts'
import type { ConfigMap } from './builtin.ts'
import { type ReconcileContext, type ReconcileResult, source, startController } from './controller.ts'
import { createManualClock } from './manual-clock.ts'
import type { Live } from './resource.ts'
import { createStore } from './store.ts'

const log = createLogger('test', 'silent')

function object(name: string, owner: string): Live<ConfigMap> {
  const metadata = { namespace: 'ns', name, uid: name, resourceVersion: '1' }
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { owner } }
}

function setUp(
  reconcile: (key: string, context: ReconcileContext) => Promise<ReconcileResult>,
  options: { concurrency?: number; timeoutSeconds?: number } = {},
) {
  const clock = createManualClock()
  const registry = new Registry()
  const { store, writer } = createStore<ConfigMap>({}, () => undefined)
  const owners = source(store, ({ data }) => (data?.owner === undefined ? [] : [data.owner]))
  const stopping = new AbortController()
  const controller = startController(
    { log, clock, registry },
    { name: 'test', sources: [owners], reconcile, ...options },
    stopping.signal,
  )
  const results = async () => {
    const counted = await registry.getSingleMetric('hansa_reconcile_total')?.get()
    return Object.fromEntries(counted?.values.map(({ labels, value }) => [labels.result, value]) ?? [])
  }
  return { clock, writer, controller, stopping, results }
}

test('nothing is reconciled before the stores are synced, and then everything', async () => {
  const keys: string[] = []
  const { clock, writer, controller } = setUp(async (key) => {
    keys.push(key)
    return {}
  })
  writer.put(object('early', 'x'))
  await clock.advance(1_000)
  expect(keys).toEqual([])
  writer.replace([object('one', 'a'), object('two', 'b'), object('three', 'a')])
  await clock.advance(0)
  expect(keys.sort()).toEqual(['a', 'b'])
  await controller.stop()
})

test('an object that maps to no key stops nobody', async () => {
  const keys: string[] = []
  const { clock, writer, controller } = setUp(async (key) => {
    keys.push(key)
    return {}
  })
  const odd = object('odd', 'x')
  Object.defineProperty(odd, 'data', { get: () => JSON.parse('broken') })
  writer.replace([odd, object('good', 'a')])
  await clock.advance(0)
  writer.put(object('late', 'b'))
  writer.put({ ...object('odd', 'c'), metadata: { ...odd.metadata, resourceVersion: '2' } })
  await clock.advance(0)
  expect(keys).toEqual(['a', 'b', 'c'])
  await controller.stop()
})

test('a change that moves an object reconciles the old owner and the new one', async () => {
  const keys: string[] = []
  const { clock, writer, controller } = setUp(async (key) => {
    keys.push(key)
    return {}
  })
  writer.replace([object('one', 'old')])
  await clock.advance(0)
  keys.length = 0
  writer.put(object('one', 'new'))
  await clock.advance(0)
  expect(keys.sort()).toEqual(['new', 'old'])
  await controller.stop()
})

test('one key that always fails does not stop the others, also when it throws no Error', async () => {
  const done: string[] = []
  const { clock, writer, controller, results } = setUp(
    async (key) => {
      if (key === 'bad') throw null
      done.push(key)
      return {}
    },
    { concurrency: 1 },
  )
  writer.replace(['bad', 'a', 'b', 'c'].map((key) => object(key, key)))
  await clock.advance(60_000)
  expect(done).toEqual(['a', 'b', 'c'])
  expect(await results()).toMatchObject({ success: 3 })
  await controller.stop()
})

test("an error's retry class decides when the key is tried again", async () => {
  const times: Record<string, number[]> = { never: [], after: [], backoff: [], conflict: [], overloaded: [] }
  const errors: Record<string, Error> = {
    never: new HansaError('ModelRefused', 'x', { retry: 'never' }),
    after: new HansaError('SourceUnreachable', 'x', { retry: 'after', afterSeconds: 30 }),
    backoff: new HansaError('Odd', 'x'),
    overloaded: new KubeApiError({ status: 429, reason: 'TooManyRequests', message: 'x', afterSeconds: 1 }),
    conflict: new KubeApiError({ status: 409, reason: 'Conflict', message: 'x' }),
  }
  const { clock, writer, controller, results } = setUp(async (key) => {
    times[key]?.push(clock.monotonic())
    throw errors[key]
  })
  writer.replace(Object.keys(errors).map((key) => object(key, key)))
  await clock.advance(70_000)
  expect(times.never).toEqual([0])
  expect(times.after).toEqual([0, 30_000, 60_000])
  expect(times.backoff?.slice(0, 4)).toEqual([0, 5, 15, 35])
  expect(times.conflict?.slice(0, 4)).toEqual([0, 5, 15, 35])
  // A second each at first, and ever more seldom from the ninth time on.
  expect(times.overloaded?.slice(0, 4)).toEqual([0, 1_000, 2_000, 3_000])
  expect(times.overloaded?.length).toBeLessThan(16)
  expect(await results()).toMatchObject({ terminal: 1 })
  await controller.stop()
})

test('while no API server answers a key asks six times a minute', async () => {
  let attempts = 0
  const { clock, writer, controller } = setUp(async () => {
    attempts++
    throw new KubeApiError({ reason: 'ApiServerUnreachable', message: 'connection refused' })
  })
  writer.replace([object('one', 'a')])
  await clock.advance(60_000)
  expect(attempts).toBe(6)
  await controller.stop()
})

test('a result can ask for another look later', async () => {
  const times: number[] = []
  const { clock, writer, controller } = setUp(async () => {
    times.push(clock.monotonic())
    return { afterSeconds: 10 }
  })
  writer.replace([object('a', 'a')])
  await clock.advance(25_000)
  expect(times).toEqual([0, 10_000, 20_000])
  await controller.stop()
})

test('the deadline ends a reconcile, and one that ignores it keeps its key but not its place', async () => {
  const started: string[] = []
  const { clock, writer, controller } = setUp(
    async (key, { signal }) => {
      started.push(key)
      if (key === 'deaf') await new Promise(() => undefined)
      if (key === 'slow') {
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      }
      return {}
    },
    { concurrency: 1, timeoutSeconds: 5 },
  )
  writer.replace([object('1', 'slow'), object('2', 'deaf'), object('3', 'quick')])
  await clock.advance(5_000)
  expect(started.slice(0, 2)).toEqual(['slow', 'deaf'])
  await clock.advance(15_000)
  expect(started).toContain('quick')
  controller.enqueue('deaf')
  await clock.advance(60_000)
  expect(started.filter((key) => key === 'deaf')).toHaveLength(1)
})

test('stopping ends the signals of running reconciles and waits for them', async () => {
  let ended = false
  const { clock, writer, stopping, controller } = setUp(async (_, { signal }) => {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    ended = true
    return { afterSeconds: 1 }
  })
  writer.replace([object('a', 'a')])
  await clock.advance(0)
  stopping.abort(new Error('SIGTERM'))
  await controller.stop()
  expect(ended).toBe(true)
  await clock.advance(10_000)
  expect(clock.pending).toBe(0)
})
