import { isDeepStrictEqual } from 'node:util'
import { expect, test } from 'vitest'
import { model, verified as verifiedModel, withSource, withVerdict } from '../../../test/builders/model.ts'
import type { Model } from '../api/model.ts'
import type { Applier } from '../kube/apply-if-changed.ts'
import type { Job } from '../kube/builtin.ts'
import { createManualClock } from '../kube/manual-clock.ts'
import type { Pod } from '../kube/pod-types.ts'
import type { Live } from '../kube/resource.ts'
import { createStore } from '../kube/store.ts'
import { HansaError } from '../process/errors.ts'
import { createLogger } from '../process/log.ts'
import { modelOfPod, reconcileModel } from './controller.ts'
import type { FetchClient, FetchState } from './fetch-client.ts'

const { signal } = new AbortController()
const context = { signal, log: createLogger('test', 'silent') }
const key = 'default/digits'
const onClaim = withSource({ pvc: { claimName: 'models', path: '' } })

function state(given: Partial<FetchState>): FetchState {
  const { uid = '', namespace = '', name } = model('digits').metadata
  return { uid, namespace, name, generation: 1, phase: 'Pending', reason: 'Pending', message: '', ...given }
}

/** The controller's surroundings: `writes` are statuses and Jobs as applied, `events` their reasons. */
function setUp(built: Model, options: { known?: FetchState; unreachable?: string; put?: () => FetchState } = {}) {
  const never = (thrown: unknown) => {
    throw thrown
  }
  const models = createStore<Model>({}, never)
  models.writer.put(built as Live<Model>) // Builders set uid and resourceVersion, as the API server would.
  const jobs = createStore<Job>({}, never)
  const pods = createStore<Pod, 'model'>({ model: modelOfPod }, never)
  const writes: { kind: string; metadata: object; status?: Model['status'] }[] = []
  const events: string[] = []
  const puts: string[] = []
  // The controller reads nothing of what it gets back but its identity; the generics cannot be kept in a fake.
  const applier = {
    apply: async (_: unknown, desired: { kind: string; metadata: object }) => {
      writes.push(desired)
      return { ...desired, metadata: { ...desired.metadata, uid: 'job', resourceVersion: '1' } }
    },
    applyStatus: async (_: unknown, desired: { kind: string; metadata: object; status?: unknown }, live: Model) => {
      if (isDeepStrictEqual(desired.status, live.status)) return live
      writes.push(desired as (typeof writes)[number])
      return { ...live, ...desired }
    },
  } as unknown as Applier
  const fetch: FetchClient = {
    list: async () => [],
    put: async ({ metadata }) => {
      puts.push(metadata.name)
      return options.put?.() ?? state({})
    },
    delete: async () => undefined,
    close: async () => undefined,
  }
  const known = new Map(options.known === undefined ? [] : [[options.known.uid, options.known]])
  const deps = {
    applier,
    events: {
      record: (_: object, event: { reason: string }) => events.push(event.reason),
      close: async () => undefined,
    },
    clock: createManualClock(),
    settings: { workerImage: 'worker:1', imagePullPolicy: 'Never' as const, imagePullSecrets: [], allowedDomains: [] },
    models: models.store,
    jobs: jobs.store,
    pods: pods.store,
    fetch,
    states: {
      get: (uid: string) => known.get(uid),
      set: (each: FetchState) => void known.set(each.uid, each),
      unreachable: options.unreachable,
      source: { synced: Promise.resolve(), subscribe: () => () => undefined },
    },
  }
  const verdict = () => {
    const condition = writes.at(-1)?.status?.conditions?.find(({ type }) => type === 'Verified')
    return condition === undefined ? undefined : `${condition.status} ${condition.reason}`
  }
  return { run: () => reconcileModel(key, context, deps), writes, events, puts, verdict }
}

test('a new model is handed to the fetch worker once, and its status says so', async () => {
  const it = setUp(model('digits'))
  await it.run()
  await it.run()
  expect(it.puts).toEqual(['digits'])
  expect(it.verdict()).toBe('Unknown Pending')
  expect(it.events[0]).toBe('Pending')
})

test('a verdict of the fetch worker becomes the condition, with the file', async () => {
  const known = state({ phase: 'Failed', reason: 'DigestMismatch', message: 'has another digest', file: 'model.onnx' })
  const it = setUp(model('digits'), { known })
  await it.run()
  expect(it.verdict()).toBe('False DigestMismatch')
  expect(it.writes[0]?.status?.conditions?.[0]?.message).toBe('file model.onnx: has another digest')
  expect(it.puts).toEqual([])
})

test('a status carries the version that was judged, so that it cannot land on a later model of the name', async () => {
  const it = setUp(model('digits'))
  await it.run()
  expect(it.writes[0]?.metadata).toEqual({ namespace: 'default', name: 'digits', resourceVersion: '1' })
})

test.each([
  ['cannot be reached', { unreachable: 'connection refused' }],
  ['fetches again after it lost its disk', { known: state({ phase: 'Fetching', reason: 'Fetching' }) }],
])('what is known stays while the fetch worker %s', async (_, options) => {
  for (const verdict of [verifiedModel, withVerdict('False', 'NotONNX')]) {
    const it = setUp(model('digits', verdict), options)
    await it.run()
    expect(it.writes).toEqual([])
    expect(it.events).toEqual([])
  }
})

test('a verified model whose stored copy changed is False', async () => {
  const it = setUp(model('digits', verifiedModel), { known: state({ phase: 'Failed', reason: 'DigestMismatch' }) })
  await it.run()
  expect(it.verdict()).toBe('False DigestMismatch')
})

test('a refusal by the fetch worker is the condition, and is tried again later', async () => {
  const it = setUp(model('digits'), {
    put: () => {
      throw new HansaError('TooLarge', 'more than 1000 models', { retry: 'after', afterSeconds: 60 })
    },
  })
  expect(await it.run()).toEqual({ afterSeconds: 60 })
  expect(it.verdict()).toBe('False TooLarge')
})

test('a fetch worker that does not take the model is tried again soon', async () => {
  const it = setUp(model('digits'), {
    put: () => {
      throw new HansaError('FetchWorkerUnreachable', 'connection reset')
    },
  })
  expect((await it.run()).afterSeconds).toBeLessThanOrEqual(60)
  expect(it.verdict()).toBe('Unknown FetchWorkerUnreachable')
})

test('a model on a claim gets a Job, and nothing is asked of the fetch worker', async () => {
  const it = setUp(model('digits', onClaim), { unreachable: 'connection refused' })
  await it.run()
  expect(it.writes.map(({ kind }) => kind)).toEqual(['Job', 'Model'])
  expect(it.verdict()).toBe('Unknown Fetching')
  expect(it.puts).toEqual([])
})

test('a verified model on a claim gets no Job any more', async () => {
  const it = setUp(model('digits', onClaim, verifiedModel))
  await it.run()
  expect(it.writes.filter(({ kind }) => kind === 'Job')).toEqual([])
})

test('a model that is being deleted is left alone', async () => {
  const it = setUp(
    model('digits', (built) => {
      built.metadata.deletionTimestamp = '2026-01-01T00:00:00Z'
    }),
  )
  await it.run()
  expect([...it.writes, ...it.puts]).toEqual([])
})
