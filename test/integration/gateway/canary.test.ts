import { status } from '@grpc/grpc-js'
import type { InferenceService } from '@hansa/operator/api/inference-service.ts'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { eventually, inferenceService, type Rig, startRig } from './gateway-under-test.ts'
import { grpcUser } from './grpc-user.ts'
import type { TestWorker } from './test-worker.ts'

const path = '/apps/digits/v2/models/digits/infer'
const post = { method: 'POST', body: 'x' } as const
type Handle = TestWorker['handle']
let rig: Rig

const says =
  (text: string, status = 200): Handle =>
  (request, response) => {
    request.resume()
    request.on('end', () => response.writeHead(status).end(text))
  }
const echoes: Handle = (request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk) => chunks.push(chunk))
  request.on('end', () => response.writeHead(200).end(Buffer.concat(chunks)))
}

/** Half of the traffic to r2, which is being tried. */
function trying(percent = 50, rollout: Record<string, unknown> = {}): InferenceService {
  const service = inferenceService('digits', 'apps', { timeouts: { requestSeconds: 20 }, rollout })
  service.status = {
    traffic: [
      { revision: 'r1', percent: 100 - percent },
      { revision: 'r2', percent },
    ],
    rollout: { revision: 'r2', state: 'Progressing', step: 0, stepStartedTime: '2026-11-23T00:00:00Z' },
  }
  return service
}

beforeEach(async () => {
  rig = await startRig({ services: [trying()] })
})
afterEach(() => rig.stop())

test('traffic is drawn by percent and counted per revision', async () => {
  await rig.addWorker('digits', 'apps', says('old'), 'r1')
  await rig.addWorker('digits', 'apps', says('new'), 'r2')
  const answers = []
  for (let i = 0; i < 60; i += 1) answers.push((await rig.call(path, post)).text)
  const fresh = answers.filter((text) => text === 'new').length
  // 30 expected; outside of this lies less than one run in a million.
  expect(fresh).toBeGreaterThan(10)
  expect(fresh).toBeLessThan(50)
  expect(await counts('r2')).toEqual({ requests: fresh, failures: 0 })
  expect(await counts('r1')).toEqual({ requests: 60 - fresh, failures: 0 })
})

const breaks: Handle = (request) => request.socket.destroy()
const breaksLater: Handle = (request, response) => {
  request.resume()
  response.writeHead(200, { 'content-length': '1000' })
  response.write('begin', () => setTimeout(() => request.socket.destroy(), 20))
}
const redirects: Handle = (request, response) => {
  request.resume()
  response.writeHead(302, { location: 'https://elsewhere.test' }).end()
}

test.each([
  ['answers 500', says('{"error":"broken"}', 500), 1],
  ['breaks the connection', breaks, 1],
  ['breaks off in the middle of its answer', breaksLater, 1],
  ['sends what no worker may send', redirects, 1],
  ['is full', says('{"error":"full"}', 429), 0],
])('users do not notice a new revision that %s', async (_what, handle, failed) => {
  await rig.addWorker('digits', 'apps', echoes, 'r1')
  const bad = await rig.addWorker('digits', 'apps', handle, 'r2')
  for (let i = 0; i < 40; i += 1) {
    const body = Buffer.alloc(i % 2 === 0 ? 10 : 200_000, 97)
    expect(await rig.call(path, { method: 'POST', body })).toMatchObject({ status: 200, bytes: body.length })
  }
  expect(bad.requests.length).toBeGreaterThan(3)
  // Being full is no failure of a revision.
  const expected = failed * bad.requests.length
  expect(await counts('r2')).toEqual({ requests: expected, failures: expected })
  expect(await counts('r1')).toEqual({ requests: 40, failures: 0 })
  expect(await value('hansa_gateway_canary_repeats_total', { reason: 'failed' })).toBe(bad.requests.length)
})

test('a new revision whose workers are gone costs nobody anything', async () => {
  await rig.addWorker('digits', 'apps', says('old'), 'r1')
  const gone = await rig.addWorker('digits', 'apps', says('new'), 'r2')
  await gone.kill()
  for (let i = 0; i < 20; i += 1) expect(await rig.call(path, post)).toMatchObject({ status: 200, text: 'old' })
  expect((await counts('r2'))?.failures).toBeGreaterThan(0)
})

test('bodies that cannot be kept go to the old revision', async () => {
  const old = await rig.addWorker('digits', 'apps', echoes, 'r1')
  const bad = await rig.addWorker('digits', 'apps', says('{}', 500), 'r2')
  for (let i = 0; i < 10; i += 1) {
    expect(await rig.call(path, { method: 'POST', body: Buffer.alloc(300_000) })).toMatchObject({ bytes: 300_000 })
  }
  expect([old.requests.length, bad.requests.length]).toEqual([10, 0])
})

test('a failure of the old revision is passed on as ever', async () => {
  await rig.addWorker('digits', 'apps', says('{"error":"ours"}', 500), 'r1')
  await rig.addWorker('digits', 'apps', says('{"error":"theirs"}', 500), 'r2')
  for (let i = 0; i < 10; i += 1)
    expect(await rig.call(path, post)).toMatchObject({ status: 500, text: '{"error":"ours"}' })
})

test('a new revision that hangs is slow for the rollout, not for users: the old one is asked after a second', async () => {
  await rig.addWorker('digits', 'apps', says('old'), 'r1')
  let left = 0
  const hangs = await rig.addWorker(
    'digits',
    'apps',
    (request) => {
      request.resume()
      request.socket.once('close', () => {
        left += 1
      })
    },
    'r2',
  )
  const began = performance.now()
  const answers = await Promise.all(Array.from({ length: 12 }, () => rig.call(path, post)))
  for (const answer of answers) expect(answer).toMatchObject({ status: 200, text: 'old' })
  expect(performance.now() - began).toBeLessThan(6000)
  expect(hangs.requests.length).toBeGreaterThan(0)
  await eventually(() => expect(left).toBe(hangs.requests.length))
  expect(await counts('r2')).toEqual({ requests: hangs.requests.length, failures: 0 })
  expect(await value('hansa_gateway_canary_repeats_total', { reason: 'slow' })).toBe(hangs.requests.length)
  // Also for a user in a hurry: half of the time is left for the old revision.
  for (let i = 0; i < 6; i += 1) {
    expect(await rig.call(path, { ...post, headers: { 'x-request-timeout-ms': '800' } })).toMatchObject({ status: 200 })
  }
})

test('a slow answer of the new revision is used when the old one, asked as well, refuses or fails', async () => {
  let reply = says('{"error":"full"}', 429)
  await rig.addWorker('digits', 'apps', (request, response) => reply(request, response), 'r1')
  const slow = await rig.addWorker(
    'digits',
    'apps',
    (request, response) => {
      request.resume()
      setTimeout(() => response.writeHead(200).end('new'), 1500)
    },
    'r2',
  )
  for (const refusal of [says('{"error":"full"}', 429), says('{"error":"broken"}', 500), breaks]) {
    reply = refusal
    const before = slow.requests.length
    const answers = await Promise.all(Array.from({ length: 8 }, () => rig.call(path, post)))
    const good = answers.filter(({ status, text }) => status === 200 && text === 'new').length
    expect(good).toBeGreaterThanOrEqual(slow.requests.length - before)
  }
  expect(slow.requests.length).toBeGreaterThan(3)
})

test('the rollout over, a failure of the same revision is passed on', async () => {
  await rig.addWorker('digits', 'apps', says('{"error":"broken"}', 500), 'r2')
  const service = inferenceService('digits')
  service.status = { traffic: [{ revision: 'r2', percent: 100 }] }
  rig.cluster.services = [service]
  rig.cluster.changed()
  await eventually(async () => expect(await rig.call(path, post)).toMatchObject({ status: 500 }))
})

test('over gRPC too, users do not notice a new revision that fails', async () => {
  await rig.addGrpc(await rig.addWorker('digits', 'apps', echoes, 'r1'))
  const bad = await rig.addGrpc(await rig.addWorker('digits', 'apps', echoes, 'r2'))
  bad.infer = (_call, answer) => answer({ code: status.INTERNAL, details: 'broken' })
  const user = grpcUser(rig)
  try {
    for (let i = 0; i < 30; i += 1) {
      const rawInputContents = [Buffer.alloc(i % 3 === 0 ? 200_000 : 10)]
      const answer = await user.unary('ModelInfer', { modelName: 'apps/digits', id: `${i}`, rawInputContents })
      expect(answer).toMatchObject({ code: status.OK, message: { id: `${i}` } })
    }
    expect(bad.requests.length).toBeGreaterThan(2)
    expect(await counts('r2')).toEqual({ requests: bad.requests.length, failures: bad.requests.length })
    expect(await counts('r1')).toEqual({ requests: 30, failures: 0 })
    const stream = await user.stream()
    for (let i = 0; i < 5; i += 1) stream.send({ modelName: 'apps/digits', id: `${i}` })
    stream.end()
    expect(await stream.ended).toMatchObject({ code: status.OK })
    expect(await counts('r1')).toEqual({ requests: 35, failures: 0 })
  } finally {
    user.close()
  }
})

async function counts(revision: string): Promise<{ requests: number; failures: number } | undefined> {
  const requests = await value('hansa_gateway_revision_requests_total', { revision })
  const failures = await value('hansa_gateway_revision_failures_total', { revision })
  return requests === undefined || failures === undefined ? undefined : { requests, failures }
}

async function value(name: string, labels: Record<string, string>): Promise<number | undefined> {
  const { values = [] } = (await rig.registry.getSingleMetric(name)?.get()) ?? {}
  return values.find((item) => Object.entries(labels).every(([label, wanted]) => item.labels[label] === wanted))?.value
}
