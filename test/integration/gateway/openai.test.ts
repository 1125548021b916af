import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { inferenceService, type Rig, startRig } from './gateway-under-test.ts'
import { echo, type TestWorker } from './test-worker.ts'

const path = '/apps/digits/v1/embeddings'
const post = { method: 'POST', body: '{"input":"x"}', headers: { 'content-type': 'application/json' } } as const
let rig: Rig
let worker: TestWorker

beforeAll(async () => {
  rig = await startRig({
    services: [
      inferenceService('digits', 'apps', {
        timeouts: { requestSeconds: 1 },
        limits: { requestBytes: 2000, inFlight: 1 },
      }),
      inferenceService('idle'),
      inferenceService('closed', 'apps', { access: {} }),
    ],
  })
  worker = await rig.addWorker()
})
beforeEach(() => {
  worker.requests.length = 0
  worker.handle = echo
})
afterAll(() => rig?.stop())

/** The error of an answer in OpenAI's form. */
function errorOf(text: string): object {
  const { error } = JSON.parse(text) as { error: object } // What else it is makes the comparison fail.
  return error
}

test('an OpenAI-style path reaches the worker as /v1', async () => {
  expect(await rig.call(path, post)).toMatchObject({ status: 200, text: post.body })
  expect((await rig.call('/apps/digits/v1/models')).status).toBe(200)
  expect(worker.requests.map(({ method, url }) => [method, url])).toEqual([
    ['POST', '/v1/embeddings'],
    ['GET', '/v1/models'],
  ])
})

test('refusals below /v1 have the form of that API, others keep theirs', async () => {
  const noToken = await rig.call(path, { ...post, token: null })
  expect([noToken.status, errorOf(noToken.text)]).toEqual([
    401,
    { message: expect.any(String), type: 'authentication_error', code: 'invalid_api_key', param: null },
  ])
  const badToken = await rig.call(path, { ...post, token: 'a.b.c' })
  expect([badToken.status, errorOf(badToken.text)]).toEqual([401, expect.objectContaining({ code: 'invalid_api_key' })])
  const closed = await rig.call('/apps/closed/v1/embeddings', post)
  expect([closed.status, errorOf(closed.text)]).toEqual([403, expect.objectContaining({ type: 'permission_error' })])
  const large = await rig.call(path, { ...post, body: 'x'.repeat(2001) })
  expect([large.status, errorOf(large.text)]).toEqual([413, expect.objectContaining({ code: 'request_too_large' })])
  const idle = await rig.call('/apps/idle/v1/models')
  expect([idle.status, errorOf(idle.text)]).toEqual([503, expect.objectContaining({ code: 'service_unavailable' })])
  const infer = await rig.call('/apps/closed/v2/models/closed/infer', post)
  expect(errorOf(infer.text)).toEqual(expect.any(String))
})

test('too many at once and a passed deadline are told in that form too', async () => {
  worker.handle = (request) => void request.resume()
  const slow = rig.call(path, post)
  await expect.poll(() => worker.requests.length).toBe(1)
  const busy = await rig.call(path, post)
  expect([busy.status, busy.headers['retry-after'], errorOf(busy.text)]).toEqual([
    429,
    expect.any(String),
    expect.objectContaining({ type: 'rate_limit_error', code: 'rate_limit_exceeded' }),
  ])
  const late = await slow
  expect([late.status, errorOf(late.text)]).toEqual([504, expect.objectContaining({ code: 'timeout' })])
})

test('no other version passes', async () => {
  for (const other of [
    '/apps/digits/v3/models',
    '/apps/digits/v10',
    '/apps/digits/v1beta/models',
    '/apps/digits/openai/v1',
  ]) {
    expect((await rig.call(other)).status).toBe(404)
  }
  expect(worker.requests).toEqual([])
})
