import type { InferenceService } from '@hansa/operator/api/inference-service.ts'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { eventually, inferenceService, type Rig, startRig } from './gateway-under-test.ts'
import type { TestWorker } from './test-worker.ts'

const path = '/apps/digits/v2/models/digits/infer'
const post = { method: 'POST', body: 'x' } as const
let rig: Rig

const sleeping = (spec: Record<string, unknown> = {}): InferenceService =>
  inferenceService('digits', 'apps', {
    access: { serviceAccounts: [...callers.map((name) => ({ namespace: 'apps', name }))] },
    timeouts: { requestSeconds: 20 },
    scaling: { minReplicas: 0, maxReplicas: 2 },
    ...spec,
  })
const callers = ['caller', 'anna', 'ben']

beforeEach(async () => {
  await start()
})
afterEach(() => rig.stop())

test('a burst waits for the first worker, none is lost, and answers say how long it took', async () => {
  const answers = Array.from({ length: 20 }, () => rig.call(path, post))
  await held(20)
  const worker = await rig.addWorker()
  for (const answer of await Promise.all(answers)) {
    expect(answer).toMatchObject({ status: 200, text: 'x' })
    expect(Number(answer.headers['x-hansa-held-ms'])).toBeGreaterThan(0)
  }
  expect(worker.requests).toHaveLength(20)
  const awake = await rig.call(path, post)
  expect(awake).toMatchObject({ status: 200 })
  expect(awake.headers).not.toHaveProperty('x-hansa-held-ms')
  const metrics = await rig.registry.metrics()
  expect(metrics).toContain('hansa_gateway_held{namespace="apps",service="digits"} 0')
  expect(metrics).toContain('hansa_gateway_holds_total{namespace="apps",service="digits",outcome="released"} 20')
  expect(metrics).toContain('hansa_gateway_held_seconds_count{namespace="apps",service="digits"} 20')
  expect(rig.logLines.filter(({ heldMs }) => heldMs !== undefined)).toHaveLength(20)
})

test('callers are let go in turn, and no more at a time than the queue of the worker takes', async () => {
  await change({ limits: { queueDepth: 2 } })
  const order: string[] = []
  let under = 0
  let most = 0
  const calls: Promise<unknown>[] = []
  for (const [caller, times] of [
    ['anna', 8],
    ['ben', 3],
  ] as const) {
    const token = await tokenOf(caller)
    for (let i = 0; i < times; i += 1) {
      calls.push(rig.call(path, { method: 'POST', body: caller, token }))
      await held(calls.length)
    }
  }
  const worker = await rig.addWorker('digits', 'apps', (request, response) => {
    under += 1
    most = Math.max(most, under)
    let caller = ''
    request.on('data', (chunk) => {
      caller += chunk
    })
    request.on('end', () => {
      order.push(caller)
      setTimeout(() => {
        under -= 1
        response.writeHead(200).end()
      }, 20)
    })
  })
  await Promise.all(calls)
  expect(worker.requests).toHaveLength(11)
  expect(most).toBe(2)
  const bens = order.flatMap((caller, index) => (caller === 'ben' ? [index] : []))
  // Two are under way at a time and may overtake each other, no more.
  expect(bens.at(-1)).toBeLessThanOrEqual(6)
})

test('at most `held` wait; the next gets 429 and is told when to come again', async () => {
  await change({ limits: { held: 3 } })
  const waiting = Array.from({ length: 3 }, () => rig.call(path, post))
  await held(3)
  const refused = await rig.call(path, post)
  expect(refused.status).toBe(429)
  expect(JSON.parse(refused.text)).toEqual({ error: 'too many requests wait for the service to wake' })
  expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(1)
  await rig.addWorker()
  for (const { status } of await Promise.all(waiting)) expect(status).toBe(200)
})

test('the deadline of a request runs on while it waits, and holdSeconds ends the wait earlier', async () => {
  const began = performance.now()
  const late = await rig.call(path, { ...post, headers: { 'x-request-timeout-ms': '300' } })
  expect(late.status).toBe(504)
  expect(Number(late.headers['x-hansa-held-ms'])).toBeGreaterThanOrEqual(250)
  expect(performance.now() - began).toBeLessThan(3000)
  await change({ scaling: { minReplicas: 0, holdSeconds: 1 } })
  const waited = await rig.call(path, post)
  expect(waited).toMatchObject({ status: 503, text: '{"error":"the service did not wake within 1 s"}' })
  expect(Number(waited.headers['retry-after'])).toBeGreaterThanOrEqual(1)
  // A large body, which stays on its socket, fares the same.
  expect(await rig.call(path, { method: 'POST', body: Buffer.alloc(300_000) })).toMatchObject({ status: 503 })
})

test('who leaves frees the place at once', async () => {
  const controller = new AbortController()
  const left = rig.call(path, { ...post, signal: controller.signal })
  const stays = rig.call(path, post)
  await held(2)
  controller.abort()
  await expect(left).rejects.toThrow()
  await held(1)
  const worker = await rig.addWorker()
  expect(await stays).toMatchObject({ status: 200 })
  expect(worker.requests).toHaveLength(1)
})

test.each([
  ['a service that always has workers', { scaling: { minReplicas: 1 } }],
  ['holdSeconds 0', { scaling: { minReplicas: 0, holdSeconds: 0 } }],
  ['a suspended service', { suspend: true }],
])('nothing waits with %s', async (_what, spec) => {
  await change(spec)
  expect(await rig.call(path, post)).toMatchObject({ status: 503 })
})

test('suspending or deleting a service ends the wait of its requests', async () => {
  const first = rig.call(path, post)
  await held(1)
  await change({ suspend: true })
  expect(await first).toMatchObject({ status: 503 })
  await change({})
  const second = rig.call(path, post)
  await held(1)
  rig.cluster.services = []
  rig.cluster.changed()
  expect(await second).toMatchObject({ status: 503 })
})

test('a service that something else scales waits too', async () => {
  await change({ scaling: { mode: 'External' }, replicas: 0 })
  const answer = rig.call(path, post)
  await held(1)
  await rig.addWorker()
  expect(await answer).toMatchObject({ status: 200 })
})

test('a request whose last worker vanishes or drains just then waits for the next one', async () => {
  const gone = await rig.addWorker()
  await gone.kill()
  const first = rig.call(path, post)
  await held(1)
  await remove(gone)
  const draining = await rig.addWorker()
  expect(await first).toMatchObject({ status: 200 })
  draining.handle = (request, response) => {
    request.resume()
    response.writeHead(503, { connection: 'close', 'content-type': 'application/json' }).end('{"error":"draining"}')
  }
  const second = rig.call(path, post)
  await held(1)
  await remove(draining)
  await rig.addWorker()
  expect(await second).toMatchObject({ status: 200 })
})

test('a worker that has just come up and is full already makes requests wait on, not fail', async () => {
  let refusals = 5
  const answers = Array.from({ length: 3 }, () => rig.call(path, post))
  await held(3)
  await rig.addWorker('digits', 'apps', (request, response) => {
    request.resume()
    refusals -= 1
    if (refusals >= 0) response.writeHead(429, { 'retry-after': '1' }).end('{"error":"full"}')
    else response.writeHead(200).end('ok')
  })
  for (const answer of await Promise.all(answers)) expect(answer).toMatchObject({ status: 200, text: 'ok' })
  expect(refusals).toBeLessThan(0)
})

test('a gateway that shuts down lets requests wait on, then answers 503 before it cuts connections', async () => {
  await rig.stop()
  await start({ drainSeconds: 1.5 })
  const lucky = rig.call(path, post)
  await held(1)
  const closing = rig.gateway.close()
  await rig.addWorker()
  expect(await lucky).toMatchObject({ status: 200 })
  await closing
  await rig.stop()

  await start({ drainSeconds: 0.5 })
  const unlucky = rig.call(path, post)
  await held(1)
  await rig.gateway.close()
  expect(await unlucky).toMatchObject({ status: 503, text: '{"error":"the gateway is shutting down"}' })
})

async function start(settings: Partial<Rig['settings']> = {}): Promise<void> {
  rig = await startRig({ services: [sleeping()], settings })
  await held(0)
}

async function held(count: number): Promise<void> {
  await eventually(async () => expect(await gauge('hansa_gateway_held')).toBe(count))
}

async function gauge(name: string): Promise<number | undefined> {
  const { values = [] } = (await rig.registry.getSingleMetric(name)?.get()) ?? {}
  return values.find(({ labels }) => labels.service === 'digits')?.value
}

/** Gives the service another spec and waits until the gateway has read it. */
async function change(spec: Record<string, unknown>): Promise<void> {
  rig.cluster.services = [sleeping(spec)]
  rig.cluster.changed()
  const mark = inferenceService(`mark-${Math.random().toString(36).slice(2)}`, 'apps', {
    scaling: { minReplicas: 0 },
  })
  rig.cluster.services.push(mark)
  rig.cluster.changed()
  await eventually(async () => expect(await rig.registry.metrics()).toContain(mark.metadata.name))
}

async function remove(worker: TestWorker): Promise<void> {
  rig.cluster.pods = rig.cluster.pods.filter(({ status }) => status?.podIP !== worker.address)
  rig.cluster.changed()
  await eventually(async () => expect(await gauge('hansa_gateway_ready_workers')).toBe(0))
}

function tokenOf(name: string): Promise<string> {
  return rig.token({ sub: `system:serviceaccount:apps:${name}` })
}
