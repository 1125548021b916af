import { expect, test } from 'vitest'
import { createLogger } from '../process/log.ts'
import { KubeApiError } from './api-error.ts'
import { type ConfigMap, configMaps } from './builtin.ts'
import type { KubeClient, ObjectList, WatchEvent, WatchOptions } from './client-types.ts'
import { createManualClock, type ManualClock } from './manual-clock.ts'
import { startReflector } from './reflector.ts'
import type { Live } from './resource.ts'

const log = createLogger('test', 'silent')
const expired = () => new KubeApiError({ status: 410, reason: 'Expired', message: 'too old resource version' })
const broken = () => new KubeApiError({ reason: 'ApiServerUnreachable', message: 'connection refused' })

function object(name: string, resourceVersion: string): Live<ConfigMap> {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'ns', name, uid: name, resourceVersion } }
}

type WatchScript = (options: WatchOptions, watch: number) => AsyncIterable<WatchEvent<ConfigMap>>

/** An API server that answers lists and watches as told. */
function scripted(clock: ManualClock, list: (n: number) => ObjectList<ConfigMap>, watch: WatchScript) {
  const calls: { kind: 'list' | 'watch'; at: number; options?: WatchOptions }[] = []
  const count = (kind: string) => calls.filter((call) => call.kind === kind).length
  // The reflector uses no other method.
  const client = {
    cluster: 'test',
    async list() {
      calls.push({ kind: 'list', at: clock.monotonic() })
      return list(count('list'))
    },
    watch(_: unknown, options: WatchOptions) {
      calls.push({ kind: 'watch', at: clock.monotonic(), options })
      return watch(options, count('watch'))
    },
  } as unknown as KubeClient
  const stopping = new AbortController()
  const deps = { client, log, clock, random: () => 0.5 }
  const reflector = startReflector(deps, { resource: configMaps }, stopping.signal)
  return { reflector, calls, count, stopping }
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
}

/** A watch that says nothing and ends when its time is up, with a bookmark before that. */
async function* quiet(clock: ManualClock, options: WatchOptions): AsyncGenerator<WatchEvent<ConfigMap>> {
  const end = new Promise<void>((resolve) => void clock.after(options.timeoutSeconds * 1_000 - 2_000, resolve))
  await Promise.race([end, untilAborted(options.signal)])
  options.onActivity?.()
  yield { type: 'BOOKMARK', resourceVersion: '7' }
}

/** A connection on which nothing ever comes. */
async function* dead(options: WatchOptions): AsyncGenerator<WatchEvent<ConfigMap>> {
  yield await untilAborted(options.signal)
}

async function* events(...list: WatchEvent<ConfigMap>[]): AsyncGenerator<WatchEvent<ConfigMap>> {
  yield* list
}

async function* failing(thrown: unknown): AsyncGenerator<WatchEvent<ConfigMap>> {
  yield await Promise.reject(thrown)
}

const one = { resourceVersion: '5', items: [object('a', '3')] }

test('a list and its watch make the store, and bookmarks move the version on', async () => {
  const clock = createManualClock()
  async function* script(options: WatchOptions): AsyncGenerator<WatchEvent<ConfigMap>> {
    yield { type: 'ADDED', object: object('b', '6') }
    yield { type: 'DELETED', object: object('a', '7') }
    yield { type: 'BOOKMARK', resourceVersion: '90' }
    yield await untilAborted(options.signal)
  }
  const { reflector, calls } = scripted(clock, () => one, script)
  await reflector.store.synced
  await clock.advance(0)
  expect(reflector.store.list().map(({ metadata }) => metadata.name)).toEqual(['b'])
  await clock.advance(46_000)
  expect(calls.map(({ kind, options }) => options?.resourceVersion ?? kind)).toEqual(['list', '5', '90'])
  await reflector.stop()
})

test('a dead connection is replaced within 60 s and resumed without a list', async () => {
  const clock = createManualClock()
  const { reflector, calls, count } = scripted(
    clock,
    () => one,
    (options, n) => (n === 1 ? dead(options) : quiet(clock, options)),
  )
  await clock.advance(60_000)
  expect(count('watch')).toBe(2)
  expect(calls[2]?.at).toBeLessThanOrEqual(60_000)
  expect(calls[2]?.options?.resourceVersion).toBe('5')
  expect(count('list')).toBe(1)
  await reflector.stop()
})

test('a quiet watch costs two requests a minute at most, and its version moves on', async () => {
  const clock = createManualClock()
  const { reflector, calls, count } = scripted(
    clock,
    () => one,
    (options) => quiet(clock, options),
  )
  await clock.advance(10 * 60_000)
  expect(count('watch')).toBeLessThanOrEqual(20)
  expect(count('list')).toBe(1)
  expect(calls.at(-1)?.options?.resourceVersion).toBe('7')
  await reflector.stop()
})

test('a connection that stays dead costs two requests a minute at most', async () => {
  const clock = createManualClock()
  const { reflector, count } = scripted(clock, () => one, dead)
  await clock.advance(10 * 60_000)
  expect(count('watch')).toBeLessThanOrEqual(20)
  await reflector.stop()
})

test('an event and then the end, again and again, does not become a hot loop', async () => {
  const clock = createManualClock()
  let version = 10
  const { reflector, count } = scripted(
    clock,
    () => one,
    () => events({ type: 'MODIFIED', object: object('a', String(++version)) }),
  )
  await clock.advance(60_000)
  expect(count('watch')).toBeLessThanOrEqual(8)
  await clock.advance(60_000)
  expect(count('watch')).toBeLessThanOrEqual(11)
  expect(reflector.store.get({ namespace: 'ns', name: 'a' })?.metadata.resourceVersion).toBe(String(version))
  await reflector.stop()
})

test('an expired version is listed anew within 5 s', async () => {
  const clock = createManualClock()
  const { reflector, calls } = scripted(
    clock,
    (n) => ({ resourceVersion: String(n * 10), items: [] }),
    (options, n) => (n === 1 ? failing(expired()) : quiet(clock, options)),
  )
  await clock.advance(5_000)
  expect(calls.map(({ kind }) => kind)).toEqual(['list', 'watch', 'list', 'watch'])
  await reflector.stop()
})

test('an expired version long after the last list is listed anew at once', async () => {
  const clock = createManualClock()
  async function* late(options: WatchOptions) {
    for (let n = 0; n < 4; n++) {
      await new Promise<void>((resolve) => void clock.after(20_000, resolve))
      options.onActivity?.()
    }
    yield* failing(expired())
  }
  const { reflector, calls } = scripted(
    clock,
    (n) => ({ resourceVersion: String(n * 10), items: [] }),
    (options, n) => (n === 1 ? late(options) : quiet(clock, options)),
  )
  await clock.advance(80_000)
  expect(calls.filter(({ kind }) => kind === 'list').map(({ at }) => at)).toEqual([0, 80_000])
  await reflector.stop()
})

test('a server that expires every watch is listed at most six times in the first minute and then twice a minute', async () => {
  const clock = createManualClock()
  const { reflector, count } = scripted(
    clock,
    () => one,
    () => failing(expired()),
  )
  await clock.advance(60_000)
  expect(count('list')).toBeLessThanOrEqual(8)
  const before = count('list')
  await clock.advance(5 * 60_000)
  expect(count('list') - before).toBeLessThanOrEqual(15)
  await reflector.stop()
})

test('an unreachable server is asked ever more seldom, and never given up', async () => {
  const clock = createManualClock()
  let up = false
  const { reflector, count } = scripted(
    clock,
    () => {
      if (!up) throw broken()
      return one
    },
    (options) => quiet(clock, options),
  )
  await clock.advance(10 * 60_000)
  expect(count('list')).toBeGreaterThan(15)
  expect(count('list')).toBeLessThanOrEqual(30)
  up = true
  await clock.advance(30_000)
  expect(reflector.store.isSynced()).toBe(true)
  await reflector.stop()
})

test('a watch that breaks resumes where it was, without a list', async () => {
  const clock = createManualClock()
  const { reflector, calls, count } = scripted(
    clock,
    () => one,
    (options, n) => (n === 1 ? failing(broken()) : quiet(clock, options)),
  )
  await clock.advance(2_000)
  expect(count('list')).toBe(1)
  expect(calls[2]?.options?.resourceVersion).toBe('5')
  await reflector.stop()
})

test('a list that is older than what was seen is refused, until it proves to be the truth', async () => {
  const clock = createManualClock()
  const old = { resourceVersion: '2', items: [] }
  const answers = [one, old, old, { resourceVersion: '8', items: [object('a', '8')] }]
  const { reflector, count } = scripted(
    clock,
    (n) => answers[n - 1] ?? old,
    (options, n) => (n === 1 ? failing(expired()) : quiet(clock, options)),
  )
  const sizes: number[] = []
  reflector.store.subscribe(() => sizes.push(reflector.store.size))
  await clock.advance(30_000)
  expect(count('list')).toBe(4)
  expect(sizes).not.toContain(0)
  expect(reflector.store.get({ namespace: 'ns', name: 'a' })?.metadata.resourceVersion).toBe('8')
  await reflector.stop()
})

test('a restored backup is accepted in the end', async () => {
  const clock = createManualClock()
  const { reflector } = scripted(
    clock,
    (n) => (n === 1 ? one : { resourceVersion: '2', items: [object('restored', '1')] }),
    (options, n) => (n === 1 ? failing(expired()) : quiet(clock, options)),
  )
  await clock.advance(60_000)
  expect(reflector.store.list().map(({ metadata }) => metadata.name)).toEqual(['restored'])
  await reflector.stop()
})

test('a change that is older than what was seen is ignored', async () => {
  const clock = createManualClock()
  const { reflector } = scripted(
    clock,
    () => one,
    () => events({ type: 'ADDED', object: object('b', '9') }, { type: 'ADDED', object: object('ghost', '4') }),
  )
  await clock.advance(100)
  expect(reflector.store.list().map(({ metadata }) => metadata.name)).toEqual(['a', 'b'])
  await reflector.stop()
})

test('a stopped reflector asks for nothing more, also when it was stopped during a pause', async () => {
  const clock = createManualClock()
  const { reflector, calls } = scripted(
    clock,
    () => {
      throw broken()
    },
    (options) => quiet(clock, options),
  )
  await clock.advance(1_000)
  await reflector.stop()
  const before = calls.length
  await clock.advance(10 * 60_000)
  expect(calls.length).toBe(before)
  expect(clock.pending).toBe(0)
})
