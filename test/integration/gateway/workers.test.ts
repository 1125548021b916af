import { once } from 'node:events'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Answer, eventually, inferenceService, type Rig, startRig } from './gateway-under-test.ts'

const path = '/apps/digits/v2/models/digits/infer'
const post = { method: 'POST', body: 'x' } as const
let rig: Rig

beforeEach(async () => {
  rig = await startRig({
    services: [
      inferenceService('digits', 'apps', { timeouts: { requestSeconds: 20 }, limits: { inFlight: 40 } }),
      inferenceService('busy', 'apps', { limits: { inFlight: 2 } }),
    ],
  })
})
afterEach(() => rig.stop())

test('requests go to the worker with the fewest under way', async () => {
  const [slow, quick] = [await rig.addWorker(), await rig.addWorker()]
  const held: (() => void)[] = []
  for (const worker of [slow, quick]) {
    worker.handle = (request, response) => {
      request.resume()
      held.push(() => response.writeHead(200).end('ok'))
    }
  }
  const answers = Array.from({ length: 10 }, () => rig.call(path, post))
  await eventually(() => expect(held).toHaveLength(10))
  expect([slow.requests.length, quick.requests.length]).toEqual([5, 5])
  for (const release of held) release()
  for (const answer of await Promise.all(answers)) expect(answer.status).toBe(200)
})

test('a worker that is gone is passed over without the user noticing, also by bodies too large to keep', async () => {
  const [gone, alive] = [await rig.addWorker(), await rig.addWorker()]
  await gone.kill()
  for (let i = 0; i < 10; i += 1) {
    const body = Buffer.alloc(i % 2 === 0 ? 100 : 300_000, 7)
    expect(await rig.call(path, { method: 'POST', body })).toMatchObject({ status: 200, bytes: body.length })
  }
  expect(alive.requests).toHaveLength(10)
  expect(await rig.registry.metrics()).toMatch(/hansa_gateway_retries_total\{namespace="apps",service="digits"\} [1-9]/)
})

test('a POST whose worker dies after receiving it is not sent again', async () => {
  const workers = [await rig.addWorker(), await rig.addWorker()]
  for (const worker of workers) worker.handle = (request) => request.socket.destroy()
  for (const body of ['x', Buffer.alloc(300_000)]) {
    const before = workers.reduce((sum, { requests }) => sum + requests.length, 0)
    const answer = await rig.call(path, { method: 'POST', body })
    expect(answer.status).toBe(502)
    expect(answer.text).toContain('error')
    expect(workers.reduce((sum, { requests }) => sum + requests.length, 0) - before).toBe(1)
  }
})

test('a GET whose worker dies is sent to another one', async () => {
  const workers = [await rig.addWorker(), await rig.addWorker()]
  let kills = 1
  for (const worker of workers) {
    worker.handle = (request, response) => {
      if (kills > 0) {
        kills -= 1
        request.socket.destroy()
      } else response.writeHead(200).end('ok')
    }
  }
  expect(await rig.call('/apps/digits/v2/health/ready')).toMatchObject({ status: 200, text: 'ok' })
})

test('an answer that breaks off after its first byte is cut off, never repeated', async () => {
  const workers = [await rig.addWorker(), await rig.addWorker()]
  for (const worker of workers) {
    worker.handle = (request, response) => {
      request.resume()
      response.writeHead(200, { 'content-length': '1000' })
      response.write('begin', () => setTimeout(() => request.socket.destroy(), 50))
    }
  }
  await expect(rig.call(path, post)).rejects.toThrow()
  expect(workers[0]?.requests.length).toBe(1 - (workers[1]?.requests.length ?? 0))
})

test('a draining or full worker is tried once and another one answers; when all refuse, the refusal goes through', async () => {
  const [refusing, free] = [await rig.addWorker(), await rig.addWorker()]
  refusing.handle = (request, response) => {
    request.resume()
    response.writeHead(503, { connection: 'close', 'content-type': 'application/json' }).end('{"error":"draining"}')
  }
  for (let i = 0; i < 6; i += 1) expect(await rig.call(path, post)).toMatchObject({ status: 200 })
  expect(refusing.requests.length).toBeLessThanOrEqual(1)
  free.handle = (request, response) => {
    request.resume()
    response.writeHead(429, { 'retry-after': '7', 'content-type': 'application/json' }).end('{"error":"queue full"}')
  }
  const full = await rig.call(path, post)
  expect([429, 503]).toContain(full.status)
  refusing.handle = free.handle
  const both = await rig.call(path, post)
  expect(both).toMatchObject({ status: 429, text: '{"error":"queue full"}' })
  expect(both.headers['retry-after']).toBe('7')
})

test('a passed deadline is a 504, the worker is let go, and a user can only shorten it', async () => {
  const worker = await rig.addWorker()
  let closed = false
  worker.handle = (request) => {
    request.resume()
    void once(request.socket, 'close').then(() => {
      closed = true
    })
  }
  const began = performance.now()
  const answer = await rig.call(path, { ...post, headers: { 'x-request-timeout-ms': '300' } })
  expect(answer.status).toBe(504)
  expect(performance.now() - began).toBeLessThan(3000)
  expect(Number(worker.requests[0]?.headers['x-hansa-timeout-ms'])).toBeLessThanOrEqual(300)
  await eventually(() => expect(closed).toBe(true))
  worker.handle = (request, response) => {
    request.resume()
    response.writeHead(200).end()
  }
  await rig.call(path, { ...post, headers: { 'x-request-timeout-ms': '3600000' } })
  expect(Number(worker.requests[1]?.headers['x-hansa-timeout-ms'])).toBeLessThanOrEqual(20_000)
})

test('when the user leaves, the worker is told by a closed connection', async () => {
  const worker = await rig.addWorker()
  const left = new Promise<void>((resolve) => {
    worker.handle = (request) => {
      request.resume()
      request.socket.once('close', resolve)
    }
  })
  const controller = new AbortController()
  const call = rig.call(path, { ...post, signal: controller.signal })
  await eventually(() => expect(worker.requests).toHaveLength(1))
  controller.abort()
  await expect(call).rejects.toThrow()
  await left
  await eventually(async () => expect(await rig.registry.metrics()).toContain('code="499"'))
})

test('more requests at once than the service allows get 429 with Retry-After', async () => {
  const worker = await rig.addWorker('busy')
  const held: (() => void)[] = []
  worker.handle = (request, response) => {
    request.resume()
    held.push(() => response.writeHead(200).end('ok'))
  }
  const busy = '/apps/busy/v2/models/busy/infer'
  const running = [rig.call(busy, post), rig.call(busy, post)]
  await eventually(() => expect(held).toHaveLength(2))
  const refused: Answer = await rig.call(busy, post)
  expect(refused.status).toBe(429)
  expect(refused.headers['retry-after']).toBe('1')
  for (const release of held) release()
  for (const answer of await Promise.all(running)) expect(answer.status).toBe(200)
})

test('without a ready worker the answer is 503 with Retry-After', async () => {
  // The gateway may still know the workers of the test before.
  await eventually(async () => {
    const answer = await rig.call(path, post)
    expect(answer).toMatchObject({ status: 503, text: '{"error":"the service has no ready worker"}' })
    expect(answer.headers['retry-after']).toBe('2')
  })
})

test("a server with another service's certificate at a worker's address gets nothing", async () => {
  const stranger = await rig.addWorker('busy')
  rig.cluster.pods = rig.cluster.pods.map((pod) => ({
    ...pod,
    metadata: { ...pod.metadata, labels: { 'hansa.dev/inference-service': 'digits', 'hansa.dev/revision': 'r1' } },
  }))
  rig.cluster.changed()
  await eventually(async () => {
    expect((await rig.call(path, post)).text).toContain('no worker can be reached')
  })
  expect(stranger.requests).toHaveLength(0)
})
