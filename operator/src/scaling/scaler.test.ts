import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { inferenceService, suspended, withExternalReplicas } from '../../../test/builders/inference-service.ts'
import type { InferenceService } from '../api/inference-service.ts'
import { revisionLabels } from '../inferenceservice/names.ts'
import type { Deployment } from '../kube/builtin.ts'
import { createManualClock } from '../kube/manual-clock.ts'
import type { Live } from '../kube/resource.ts'
import { createStore } from '../kube/store.ts'
import { type Scaler, startScaler } from './scaler.ts'
import { scalingEvent } from './scaling-event.ts'
import type { Scaling } from './wanted-workers.ts'

const key = 'default/chat'
const never = (thrown: unknown) => {
  throw thrown
}

function elastic(scaling: Partial<Scaling> = {}): InferenceService {
  const service = inferenceService('chat')
  const given = { minReplicas: 0, maxReplicas: 8, targetInFlight: 4, scaleDownWindowSeconds: 10, idleSeconds: 5 }
  service.spec.scaling = { ...service.spec.scaling, ...given, ...scaling }
  return service
}

/** A leader that has just begun, with what it finds; `load` says what gateways report. */
function setUp(service: InferenceService, running?: { replicas: number; ready: number }) {
  const clock = createManualClock()
  const services = createStore<InferenceService, 'model'>({ model: () => [] }, never)
  const deployments = createStore<Deployment, 'service'>({ service: () => [key] }, never)
  const registry = new Registry()
  const load = { inFlight: 0, held: 0, complete: true, activeAt: Number.NEGATIVE_INFINITY, mean: 0 }
  const began = clock.monotonic()
  const listeners = new Set<() => void>()
  // Builders set uid and resourceVersion, as the API server would.
  const put = (each: InferenceService) => services.writer.put(each as Live<InferenceService>)
  const run = (replicas: number, ready: number) =>
    deployments.writer.replace([
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: {
          ...{ name: 'chat-aaaaaaaa', namespace: 'default', uid: 'd', resourceVersion: `${replicas}-${ready}` },
          labels: revisionLabels('chat', 'aaaaaaaa'),
        },
        spec: { replicas, selector: {}, template: { spec: { containers: [] } } },
        status: { replicas, readyReplicas: ready },
      },
    ])
  put(service)
  services.writer.replace(services.store.list())
  if (running === undefined) deployments.writer.replace([])
  else run(running.replicas, running.ready)
  const stopping = new AbortController()
  const scaler: Scaler = startScaler(
    {
      demand: {
        isComplete: (seconds) => load.complete && clock.monotonic() - began >= seconds * 1_000,
        window: () => ({ seconds: 5, meanInFlight: load.mean, arrivals: 0, revisions: new Map() }),
        now: () => ({ inFlight: load.inFlight, held: load.held }),
        quietSeconds: () => clock.monotonic() / 1_000 - load.activeAt,
        busy: () => new Set(load.inFlight + load.held > 0 ? [key] : []),
        onReport: (listener) => {
          listeners.add(listener)
          return () => listeners.delete(listener)
        },
      },
      services: services.store,
      deployments: deployments.store,
      clock,
      registry,
    },
    stopping.signal,
  )
  const asked: string[] = []
  scaler.source.subscribe((each) => asked.push(each), never)
  return {
    ...{ clock, scaler, load, asked, put, run, registry, stopping },
    removeWorkers: () => deployments.writer.replace([]),
    report: () => {
      for (const listener of listeners) listener()
    },
    decide: () => scaler.decide(service),
  }
}

test('a new service starts with one worker though it may sleep, and sleeps only after it was ready for idleSeconds', async () => {
  const it = setUp(elastic())
  expect(it.decide().replicas).toBe(1)
  await it.clock.advance(60_000)
  expect(it.decide().replicas).toBe(1)
  it.run(1, 1)
  await it.clock.advance(4_000)
  expect(it.asked).toEqual([])
  await it.clock.advance(3_000)
  expect(it.asked).toContain(key)
  expect(it.decide()).toEqual({ replicas: 0, from: 1, reason: 'ScaledToZero' })
  it.stopping.abort()
})

test('a new leader takes over the count that it finds, and removes workers after a whole window', async () => {
  const it = setUp(elastic({ minReplicas: 1 }), { replicas: 5, ready: 5 })
  expect(it.decide()).toMatchObject({ replicas: 5, reason: 'Unchanged' })
  await it.clock.advance(9_000)
  expect(it.asked).toEqual([])
  it.load.mean = 6
  await it.clock.advance(3_000)
  expect(it.decide()).toEqual({ replicas: 2, from: 5, reason: 'ScaledDown' })
  expect(await it.registry.metrics()).toContain('hansa_operator_wanted_replicas{namespace="default",service="chat"} 2')
  it.stopping.abort()
  expect(await it.registry.metrics()).not.toContain('wanted_replicas')
})

test('a report of a waiting request wakes at once', async () => {
  const it = setUp(elastic(), { replicas: 0, ready: 0 })
  expect(it.decide().replicas).toBe(0)
  it.load.held = 9
  it.report()
  expect(it.asked).toEqual([key])
  expect(it.decide()).toEqual({ replicas: 3, from: 0, reason: 'Woken' })
  it.stopping.abort()
})

test('where nothing is held, a refused request wakes, but not one that was answered before', async () => {
  const it = setUp(elastic({ holdSeconds: 0 }), { replicas: 0, ready: 0 })
  await it.clock.advance(60_000)
  expect(it.decide().replicas).toBe(0)
  it.load.activeAt = it.clock.monotonic() / 1_000
  await it.clock.advance(1_000)
  expect(it.asked).toEqual([key])
  expect(it.decide()).toMatchObject({ replicas: 1, reason: 'Woken' })
  it.stopping.abort()
})

test('while the demand is incomplete workers are added and never removed, and a whole window must pass after that', async () => {
  const it = setUp(elastic({ minReplicas: 1 }), { replicas: 3, ready: 3 })
  await it.clock.advance(5_000)
  it.load.complete = false
  await it.clock.advance(60_000)
  expect(it.decide().replicas).toBe(3)
  it.load.mean = 20
  await it.clock.advance(1_000)
  expect(it.decide()).toMatchObject({ replicas: 5, reason: 'ScaledUp' })
  it.load.mean = 0
  it.load.complete = true
  await it.clock.advance(9_000)
  expect(it.decide().replicas).toBe(5)
  await it.clock.advance(3_000)
  expect(it.decide().replicas).toBe(1)
  it.stopping.abort()
})

test('suspension and mode External go by the spec, and a service that is resumed starts anew', async () => {
  const service = elastic()
  const it = setUp(service, { replicas: 4, ready: 4 })
  expect(it.decide().replicas).toBe(4)
  const paused = inferenceService('chat', suspended)
  expect(it.scaler.decide(paused).replicas).toBe(0)
  it.removeWorkers()
  expect(it.decide()).toMatchObject({ replicas: 1, from: 1 })
  const external = inferenceService('chat', withExternalReplicas(7))
  expect(it.scaler.decide(external)).toEqual({ replicas: 7, from: 7, reason: 'Unchanged' })
  it.stopping.abort()
})

test('each change is an event in the same words, whatever the figures', () => {
  expect(scalingEvent({ from: 1, replicas: 1, reason: 'Unchanged' })).toBeUndefined()
  expect(scalingEvent({ from: 0, replicas: 1, reason: 'Woken' })).toEqual({
    ...{ type: 'Normal', reason: 'Woken', action: 'Scale' },
    note: '0 to 1 worker: requests wait for the service',
  })
})
