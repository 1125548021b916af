import type { IncomingMessage, ServerResponse } from 'node:http'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { eventually, inferenceService, type Rig, startRig } from './gateway-under-test.ts'
import type { TestWorker } from './test-worker.ts'

const path = '/apps/digits/v2/models/digits/infer'
const post = { method: 'POST', body: '{"inputs":[]}', headers: { 'content-type': 'application/json' } } as const
let rig: Rig

type Handle = TestWorker['handle']
const after = (request: IncomingMessage, then: () => void) => {
  request.resume()
  request.on('end', then)
}
const json =
  (...data: number[]): Handle =>
  (request, response) =>
    after(request, () => {
      const outputs = [{ name: 'y', datatype: 'FP32', shape: [data.length], data }]
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ outputs }))
    })
const binary =
  (...values: number[]): Handle =>
  (request, response) =>
    after(request, () => {
      const tensor = Buffer.from(new Float32Array(values).buffer)
      const parameters = { binary_data_size: tensor.length }
      const outputs = [{ name: 'y', datatype: 'FP32', shape: [values.length], parameters }]
      const head = Buffer.from(JSON.stringify({ outputs }))
      const headers = {
        'inference-header-content-length': `${head.length}`,
        'content-type': 'application/octet-stream',
      }
      response.writeHead(200, headers).end(Buffer.concat([head, tensor]))
    })

beforeEach(async () => {
  // All traffic stays with r1; r2 gets every request too. Tests start r2 first: when r1 is routed, both are known.
  const service = inferenceService('digits', 'apps', { rollout: { mirror: { permille: 1000, tolerance: '0.01' } } })
  service.status = {
    traffic: [
      { revision: 'r1', percent: 100 },
      { revision: 'r2', percent: 0 },
    ],
    rollout: { revision: 'r2', state: 'Progressing', step: 0, stepStartedTime: '2026-11-23T00:00:00Z' },
  }
  rig = await startRig({ services: [service] })
})
afterEach(() => rig.stop())

test.each([
  ['JSON', json(1, 2), json(1.001, 2), json(1.1, 2)],
  ['binary tensors', binary(1, Number.NaN), binary(1.001, Number.NaN), binary(1, 2)],
])('answers as %s that agree within the tolerance are counted apart from those that do not', async (_what, old, near, far) => {
  const fresh = await rig.addWorker('digits', 'apps', near, 'r2')
  await rig.addWorker('digits', 'apps', old, 'r1')
  for (let i = 0; i < 5; i += 1) {
    expect(await rig.call(path, post)).toMatchObject({ status: 200 })
    await eventually(async () => expect(await mirrored()).toEqual([i + 1, 0]))
  }
  fresh.handle = far
  for (let i = 0; i < 3; i += 1) {
    expect(await rig.call(path, post)).toMatchObject({ status: 200 })
    await eventually(async () => expect(await mirrored()).toEqual([i + 6, i + 1]))
  }
  expect(fresh.requests).toHaveLength(8)
  const [request] = fresh.requests
  expect(request).toMatchObject({ method: 'POST', url: '/v2/models/digits/infer' })
  expect(request?.headers).toMatchObject({ 'content-type': 'application/json', 'content-length': '13' })
  expect(request?.headers).not.toHaveProperty('authorization')
  // Mirrored requests are not the users': they count neither as requests of the revision nor as its failures.
  expect(await counter('hansa_gateway_revision_requests_total', 'r2')).toBe(0)
})

test.each([
  [
    'answers 500',
    (request: IncomingMessage, response: ServerResponse) => after(request, () => response.writeHead(500).end()),
  ],
  ['breaks the connection', (request: IncomingMessage) => request.socket.destroy()],
  [
    'refuses the request',
    (request: IncomingMessage, response: ServerResponse) => after(request, () => response.writeHead(400).end('{}')),
  ],
])('a mirror that %s disagrees, and users do not notice', async (_what, handle) => {
  await rig.addWorker('digits', 'apps', handle, 'r2')
  await rig.addWorker('digits', 'apps', json(1), 'r1')
  expect(await rig.call(path, post)).toMatchObject({ status: 200 })
  await eventually(async () => expect(await mirrored()).toEqual([1, 1]))
})

test('what cannot be compared is not counted: refusals, failures of the old revision, other calls, large bodies', async () => {
  const fresh = await rig.addWorker(
    'digits',
    'apps',
    (request, response) => after(request, () => response.writeHead(429).end()),
    'r2',
  )
  const old = await rig.addWorker('digits', 'apps', json(1), 'r1')
  expect(await rig.call(path, post)).toMatchObject({ status: 200 })
  await eventually(async () => expect(await counter('hansa_gateway_mirror_skipped_total')).toBe(1))
  old.handle = (request, response) => after(request, () => response.writeHead(500).end())
  expect(await rig.call(path, post)).toMatchObject({ status: 500 })
  old.handle = json(1)
  expect(await rig.call('/apps/digits/v2/models/digits')).toMatchObject({ status: 200 })
  expect(await rig.call(path, { ...post, body: Buffer.alloc(300_000) })).toMatchObject({ status: 200 })
  fresh.handle = json(1)
  expect(await rig.call(path, { ...post, body: Buffer.alloc(200_000) })).toMatchObject({ status: 200 })
  await eventually(async () => expect(await mirrored()).toEqual([1, 0]))
  expect(fresh.requests).toHaveLength(2)
})

test('a mirror that hangs holds up nobody, and no more than eight requests wait for it', async () => {
  const hangs = await rig.addWorker('digits', 'apps', (request) => void request.resume(), 'r2')
  await rig.addWorker('digits', 'apps', json(1), 'r1')
  for (let i = 0; i < 30; i += 1) {
    const began = performance.now()
    expect(await rig.call(path, post)).toMatchObject({ status: 200 })
    expect(performance.now() - began).toBeLessThan(2000)
  }
  expect(hangs.requests).toHaveLength(8)
})

test('half of the requests are mirrored at 500 per mille', async () => {
  const [service] = rig.cluster.services
  if (service !== undefined)
    service.spec.rollout.mirror = { permille: 500, tolerance: '0.01', maxDisagreementPermille: 10 }
  rig.cluster.changed()
  const fresh = await rig.addWorker('digits', 'apps', json(1), 'r2')
  await rig.addWorker('digits', 'apps', json(1), 'r1')
  for (let i = 0; i < 60; i += 1) {
    expect(await rig.call(path, post)).toMatchObject({ status: 200 })
    // No more than eight wait for their comparison; on a slow machine the first one takes a while.
    await eventually(async () => expect((await mirrored())[0] ?? 0).toBe(fresh.requests.length))
  }
  expect(fresh.requests.length).toBeGreaterThan(10)
  expect(fresh.requests.length).toBeLessThan(50)
})

async function mirrored(): Promise<(number | undefined)[]> {
  return [
    await counter('hansa_gateway_mirrored_total', 'r2'),
    await counter('hansa_gateway_mirror_disagreed_total', 'r2'),
  ]
}

async function counter(name: string, revision?: string): Promise<number | undefined> {
  const { values = [] } = (await rig.registry.getSingleMetric(name)?.get()) ?? {}
  return values.find(({ labels }) => labels.service === 'digits' && labels.revision === revision)?.value
}
