import { status } from '@grpc/grpc-js'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { eventually, inferenceService, type Rig, startRig } from './gateway-under-test.ts'
import { type GrpcUser, grpcUser } from './grpc-user.ts'
import type { TestGrpcWorker } from './test-grpc-worker.ts'

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
