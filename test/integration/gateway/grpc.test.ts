import { randomBytes } from 'node:crypto'
import { status } from '@grpc/grpc-js'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { eventually, inferenceService, type Rig, startRig } from './gateway-under-test.ts'
import { type GrpcUser, grpcUser } from './grpc-user.ts'
import { answerEcho, type TestGrpcWorker } from './test-grpc-worker.ts'

let rig: Rig
let worker: TestGrpcWorker
let user: GrpcUser

beforeAll(async () => {
  rig = await startRig({
    services: [
      inferenceService('digits', 'apps', { limits: { requestBytes: 33_554_432, responseBytes: 33_554_432 } }),
      inferenceService('small', 'apps', { limits: { requestBytes: 100_000, responseBytes: 50_000, inFlight: 2 } }),
      inferenceService('private', 'apps', { access: { serviceAccounts: [] } }),
      inferenceService('empty', 'apps'),
    ],
  })
  worker = await rig.addGrpc(await rig.addWorker())
  user = grpcUser(rig)
})
const infer = 'ModelInfer'

beforeEach(() => {
  worker.requests.length = 0
})
afterAll(async () => {
  user.close()
  await rig.stop()
})

test('model_name picks the service, and the worker sees its bare name and nothing of the token', async () => {
  const body = Buffer.from('pixels')
  const answer = await user.unary(
    infer,
    { modelName: 'apps/digits', id: '7', rawInputContents: [body] },
    { metadata: { 'x-hansa-timeout-ms': '999999999', 'x-custom': 'y', 'x-request-id': 'order-17' } },
  )
  expect(answer).toMatchObject({
    code: status.OK,
    message: { modelName: 'digits', id: '7', rawOutputContents: [body] },
  })
  const [seen] = worker.requests
  expect(seen?.message.modelName).toBe('digits')
  const metadata = seen?.metadata.getMap() ?? {}
  expect(Object.keys(metadata).sort()).toEqual(['traceparent', 'user-agent', 'x-hansa-timeout-ms', 'x-request-id'])
  expect(metadata['x-request-id']).toBe('order-17')
  expect(Number(metadata['x-hansa-timeout-ms'])).toBeLessThanOrEqual(20_000)
})

test('metadata picks the service; model_name is then bare, whole or empty, but no other', async () => {
  for (const modelName of ['digits', 'apps/digits', '']) {
    const answer = await user.unary(infer, { modelName, id: modelName }, { service: 'apps/digits' })
    expect(answer).toMatchObject({ code: status.OK, message: { modelName: 'digits' } })
  }
  const other = await user.unary(infer, { modelName: 'other' }, { service: 'apps/digits' })
  expect(other).toMatchObject({ code: status.INVALID_ARGUMENT, details: expect.stringContaining('different services') })
  expect(await user.unary(infer, { modelName: 'digits' })).toMatchObject({
    code: status.INVALID_ARGUMENT,
    details: expect.stringContaining('hansa-service'),
  })
  expect(await user.unary(infer, {}, { service: 'digits' })).toMatchObject({ code: status.INVALID_ARGUMENT })
})

test('a stream keeps its order, and a request for another model gets its error in its place', async () => {
  const open = await user.stream()
  for (let i = 0; i < 50; i += 1) {
    open.send({ modelName: i % 10 === 9 ? 'apps/other' : i === 0 ? 'apps/digits' : 'digits', id: `${i}` })
  }
  open.end()
  expect(await open.ended).toMatchObject({ code: status.OK })
  expect(open.received.map(({ inferResponse }) => inferResponse?.id)).toEqual(
    Array.from({ length: 50 }, (_, i) => `${i}`),
  )
  expect(open.received.map(({ errorMessage }) => errorMessage !== undefined && errorMessage !== '')).toEqual(
    Array.from({ length: 50 }, (_, i) => i % 10 === 9),
  )
  await eventually(() => expect(worker.openStreams).toBe(0))
})

test('nobody gets in without a token, with a forged one, or without being listed', async () => {
  const message = { modelName: 'apps/digits' }
  expect(await user.unary(infer, message, { token: null })).toMatchObject({
    code: status.UNAUTHENTICATED,
    details: 'send a valid token: Authorization: Bearer <JWT>',
  })
  const forged = `${(await rig.token()).slice(0, -8)}AAAAAAAA`
  expect(await user.unary(infer, message, { token: forged })).toMatchObject({ code: status.UNAUTHENTICATED })
  const denied = { code: status.PERMISSION_DENIED, details: expect.stringContaining('spec.access') }
  const other = await rig.token({ sub: 'system:serviceaccount:apps:other' })
  expect(await user.unary(infer, message, { token: other })).toMatchObject(denied)
  expect(await user.unary(infer, { modelName: 'apps/private' })).toMatchObject(denied)
  expect(await user.unary(infer, { modelName: 'apps/nowhere' })).toMatchObject(denied)
  expect(await user.unary(infer, {}, { service: 'apps/nowhere' })).toMatchObject(denied)
  const stream = await user.stream({ token: other })
  stream.send(message)
  expect(await stream.ended).toMatchObject({ code: status.PERMISSION_DENIED })
  expect(worker.requests).toEqual([])
})

test('the gateway answers for itself what names no service, to whoever has a token', async () => {
  expect(await user.unary('ServerLive', {})).toMatchObject({ code: status.OK, message: { live: true } })
  expect(await user.unary('ServerReady', {})).toMatchObject({ code: status.OK, message: { ready: true } })
  expect(await user.unary('ServerMetadata', {})).toMatchObject({ message: { name: 'hansa-gateway', version: '1' } })
  expect(await user.unary('ServerLive', {}, { token: null })).toMatchObject({ code: status.UNAUTHENTICATED })
  expect(await user.unary('RepositoryModelLoad', { modelName: 'x' })).toMatchObject({
    code: status.UNIMPLEMENTED,
    details: expect.stringContaining('InferenceService'),
  })
})

test('metadata, readiness, statistics and index of a service come from its worker', async () => {
  for (const method of ['ModelReady', 'ModelMetadata']) {
    expect(await user.unary(method, { name: 'apps/digits' })).toMatchObject({ code: status.OK })
  }
  expect(await user.unary('ModelMetadata', { name: 'apps/digits' })).toMatchObject({ message: { name: 'digits' } })
  expect(await user.unary('ModelStatistics', {}, { service: 'apps/digits' })).toMatchObject({ code: status.OK })
  expect(await user.unary('RepositoryIndex', {}, { service: 'apps/digits' })).toMatchObject({ code: status.OK })
  expect(await user.unary('RepositoryIndex', {})).toMatchObject({ code: status.INVALID_ARGUMENT })
})

test("requests and answers above the service's limits are refused, at them they pass", async () => {
  const small = await rig.addGrpc(await rig.addWorker('small'), 'small')
  const send = (bytes: number) =>
    user.unary(infer, { modelName: 'apps/small', rawInputContents: [Buffer.alloc(bytes)] })
  expect(await send(100_001)).toMatchObject({
    code: status.RESOURCE_EXHAUSTED,
    details: 'the body is larger than 100000 bytes',
  })
  expect(small.requests).toEqual([])
  expect(await send(49_000)).toMatchObject({ code: status.OK })
  expect(await send(60_000)).toMatchObject({
    code: status.UNAVAILABLE,
    details: 'the answer is larger than 50000 bytes',
  })
  let release: (() => void)[] = []
  small.infer = ({ request }, answer) => release.push(() => answer(null, request))
  const held = [send(1), send(1)]
  await eventually(() => expect(release).toHaveLength(2))
  expect(await send(1)).toMatchObject({ code: status.RESOURCE_EXHAUSTED, details: 'too many requests at once' })
  for (const go of release) go()
  release = []
  for (const answer of await Promise.all(held)) expect(answer.code).toBe(status.OK)
})

test('large messages flow through whole, both ways', async () => {
  const body = randomBytes(20 << 20)
  const answer = await user.unary(infer, { modelName: 'apps/digits', rawInputContents: [body] })
  expect(answer.code).toBe(status.OK)
  expect(answer.message.rawOutputContents?.[0]?.equals(body)).toBe(true)
})

test('a deadline ends the call at the worker too, and so does a user who leaves', async () => {
  let cancelled = 0
  worker.infer = (call) => {
    call.on('cancelled', () => {
      cancelled += 1
    })
  }
  const late = await user.unary(infer, { modelName: 'apps/digits' }, { deadlineMs: 300 })
  expect(late.code).toBe(status.DEADLINE_EXCEEDED)
  await eventually(() => expect(cancelled).toBe(1))
  const { answer, cancel } = await user.begin(infer, { modelName: 'apps/digits' })
  await eventually(() => expect(worker.requests).toHaveLength(2))
  cancel()
  expect((await answer).code).toBe(status.CANCELLED)
  await eventually(() => expect(cancelled).toBe(2))
  worker.infer = answerEcho
  // The user's own clock may run out first, which looks as if it had left.
  const counted = /hansa_gateway_grpc_calls_total\{.*service="digits".*code="(?:DEADLINE_EXCEEDED|CANCELLED)"\} (\d+)/g
  await eventually(async () => {
    const metrics = await rig.registry.metrics()
    expect([...metrics.matchAll(counted)].reduce((sum, [, count]) => sum + Number(count), 0)).toBe(2)
  })
})

test("the worker's status and words reach the user", async () => {
  worker.infer = (_call, answer) => answer({ code: status.INVALID_ARGUMENT, details: 'input "x" fehlt – 5 %' })
  expect(await user.unary(infer, { modelName: 'apps/digits' })).toMatchObject({
    code: status.INVALID_ARGUMENT,
    details: 'input "x" fehlt – 5 %',
  })
  worker.infer = answerEcho
})

test('a service without workers is UNAVAILABLE with a hint when to come again', async () => {
  const answer = await user.unary(infer, { modelName: 'apps/empty' })
  expect(answer).toMatchObject({ code: status.UNAVAILABLE, details: 'the service has no ready worker' })
  expect(answer.metadata.get('grpc-retry-pushback-ms')).toEqual(['2000'])
})

test('the access log names method and code and holds neither token nor payload', async () => {
  rig.logLines.length = 0
  const token = await rig.token()
  await user.unary(infer, { modelName: 'apps/digits', rawInputContents: [Buffer.from('secret-payload')] }, { token })
  const line = await eventually(() => {
    const [found] = rig.logLines.filter(({ message }) => message === 'request')
    expect(found).toBeDefined()
    return found
  })
  expect(line).toMatchObject({
    namespace: 'apps',
    name: 'digits',
    path: '/inference.GRPCInferenceService/ModelInfer',
    status: 200,
    grpcStatus: 'OK',
    caller: 'system:serviceaccount:apps:caller',
    attempts: 1,
  })
  const all = JSON.stringify(rig.logLines)
  for (const secret of ['secret-payload', token]) expect(all).not.toContain(secret)
})
