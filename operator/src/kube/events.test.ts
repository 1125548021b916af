import { expect, test } from 'vitest'
import { createLogger } from '../process/log.ts'
import { KubeApiError } from './api-error.ts'
import type { Event } from './builtin.ts'
import type { KubeClient } from './client-types.ts'
import { createEventRecorder } from './events.ts'
import { createManualClock } from './manual-clock.ts'

const log = createLogger('test', 'silent')
const service = {
  apiVersion: 'hansa.dev/v1alpha1',
  kind: 'InferenceService',
  metadata: { namespace: 'ns', name: 'chat', uid: 'u' },
}
const event = { type: 'Normal' as const, reason: 'Ready', action: 'Reconcile', note: 'two workers' }

function setUp(create: (event: Event) => void = () => undefined) {
  const clock = createManualClock()
  const created: Event[] = []
  const patched: unknown[] = []
  let gone = false
  // The recorder uses no other method.
  const client = {
    async create(_: unknown, object: Event) {
      create(object)
      created.push(object)
    },
    async patch(_: unknown, __: unknown, patch: unknown) {
      if (gone) throw new KubeApiError({ status: 404, reason: 'NotFound', message: 'gone' })
      patched.push(patch)
    },
  } as unknown as KubeClient
  const recorder = createEventRecorder({ client, controller: 'hansa.dev/operator', instance: 'pod', log, clock })
  const forget = () => {
    gone = true
  }
  return { clock, recorder, created, patched, forget }
}

test('a repeat within six minutes makes a series, and later a new event', async () => {
  const { clock, recorder, created, patched } = setUp()
  recorder.record(service, event)
  recorder.record(service, event)
  await clock.advance(1_000)
  expect(created).toHaveLength(1)
  expect(patched).toEqual([{ series: { count: 2, lastObservedTime: expect.any(String) } }])
  await clock.advance(7 * 60_000)
  recorder.record(service, event)
  await clock.advance(0)
  expect(created).toHaveLength(2)
})

test('a series whose event the API server has forgotten begins anew', async () => {
  const { clock, recorder, created, forget } = setUp()
  recorder.record(service, event)
  await clock.advance(1_000)
  forget()
  recorder.record(service, event)
  await clock.advance(0)
  expect(created).toHaveLength(2)
})

test('one object cannot flood the events, and others are heard', async () => {
  const { clock, recorder, created } = setUp()
  for (let n = 0; n < 500; n++) recorder.record(service, { ...event, note: `note ${n}` })
  recorder.record({ ...service, metadata: { ...service.metadata, name: 'other', uid: 'v' } }, event)
  await clock.advance(0)
  expect(created).toHaveLength(21)
  expect(created.at(-1)?.regarding?.name).toBe('other')
  await clock.advance(60_000)
  for (let n = 0; n < 500; n++) recorder.record(service, { ...event, note: `later ${n}` })
  await clock.advance(0)
  expect(created).toHaveLength(23)
})

test('a failing API server costs events, nothing else', async () => {
  let up = false
  const { clock, recorder, created } = setUp(() => {
    if (!up) throw new KubeApiError({ reason: 'ApiServerUnreachable', message: 'down' })
  })
  recorder.record(service, event)
  await clock.advance(0)
  up = true
  recorder.record(service, { ...event, note: 'x'.repeat(5_000) })
  await clock.advance(0)
  expect(created.map(({ note }) => note?.length)).toEqual([1_024])
  await recorder.close()
  recorder.record(service, event)
  await clock.advance(0)
  expect(created).toHaveLength(1)
})
