import { setTimeout as delay } from 'node:timers/promises'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { credentials } from '@grpc/grpc-js'
import { createAuthority } from '@hansa/operator/identity/authority.ts'
import { memoryIdentity } from '@hansa/operator/identity/memory-identity.ts'
import { clientTls, spiffe } from '@hansa/operator/identity/tls.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { identityModel, slowModel } from '../../builders/onnx-model.ts'
import { code } from '../../contract/case.ts'
import { type GrpcClient, grpcClient } from '../../contract/client.ts'
import { difference } from '../../contract/matches.ts'
import { frame, rawCall } from './raw-grpc.ts'
import { startWorker, type TestWorker } from './worker.ts'

const options = { metadata: {}, deadlineMs: 60_000 }
const insecure = (worker: TestWorker, more?: object) =>
  grpcClient(worker.grpcAddress, credentials.createInsecure(), more)
const slow = (turns: number, id = '') => ({
  model_name: 'echo',
  id,
  inputs: [
    { name: 'n', datatype: 'INT64', shape: [], contents: { int64_contents: [String(turns)] } },
    { name: 'x', datatype: 'FP32', shape: [1], contents: { fp32_contents: [1] } },
  ],
})
const count = async (worker: TestWorker, name: string) =>
  (await worker.registry.getSingleMetric(name)?.get())?.values[0]?.value ?? 0

async function eventually(check: () => Promise<boolean>, seconds = 15): Promise<void> {
  const end = performance.now() + seconds * 1000
  while (!(await check())) {
    if (performance.now() > end) throw new Error(`not within ${seconds} s`)
    await delay(50)
  }
}

/** Turns of the slow model that take about that long here. */
async function turnsFor(client: GrpcClient, seconds: number): Promise<number> {
  let best = 0
  for (let round = 0; round < 3; round++) {
    const started = performance.now()
    expect((await client.unary('ModelInfer', slow(50_000), options)).code).toBe(code.ok)
    best = Math.max(best, 50_000 / (performance.now() - started))
  }
  return Math.round(best * seconds * 1000)
}

describe('with an identity', () => {
  const trustDomain = 'test.hansa'
  const gatewayUri = spiffe(trustDomain, 'hansa-system', 'hansa-gateway')
  const workerUri = spiffe(trustDomain, 'apps', 'echo-worker')

  test('only the gateway may call, and new connections see a renewed certificate', async () => {
    const authority = await createAuthority({ trustDomain })
    const identity = await memoryIdentity(authority, workerUri)
    const worker = await startWorker(identityModel('FP32'), { mtls: { identity, gatewayUri } })
    const secure = async (uri: string) => {
      const { ca, key, cert, checkServerIdentity } = clientTls(await memoryIdentity(authority, uri), workerUri)
      return grpcClient(
        worker.grpcAddress,
        credentials.createSsl(Buffer.from(ca), Buffer.from(key ?? ''), Buffer.from(cert ?? ''), {
          checkServerIdentity: (host, certificate) => checkServerIdentity(host, certificate),
        }),
      )
    }
    const clients = [await secure(gatewayUri), await secure(spiffe(trustDomain, 'apps', 'other-worker'))]
    try {
      const [gateway, stranger] = clients
      expect((await gateway?.unary('ModelReady', { name: 'echo' }, options))?.response).toEqual({ ready: true })
      for (const call of ['ServerLive', 'ModelInfer']) {
        expect(await stranger?.unary(call, {}, options)).toMatchObject({
          code: code.permissionDenied,
          details: 'only the gateway may call this worker',
        })
      }
      const anonymous = grpcClient(worker.grpcAddress, credentials.createSsl(Buffer.from(authority.caPem)))
      clients.push(anonymous)
      expect((await anonymous.unary('ServerLive', {}, { ...options, deadlineMs: 2000 })).code).not.toBe(code.ok)
      const asGateway = await memoryIdentity(authority, gatewayUri)
      const before = await serial(worker.grpcAddress, clientTls(asGateway, workerUri))
      await identity.renew()
      expect(await serial(worker.grpcAddress, clientTls(asGateway, workerUri))).not.toBe(before)
      expect((await gateway?.unary('ServerReady', {}, options))?.response).toEqual({ ready: true })
    } finally {
      for (const client of clients) client.close()
      await worker.close()
    }
  })

  function serial(address: string, tls: ReturnType<typeof clientTls>): Promise<string> {
    const { hostname, port } = new URL(`https://${address}`)
    return new Promise((resolve, reject) => {
      const socket: TLSSocket = connectTls(
        { ...tls, host: hostname, port: Number(port), ALPNProtocols: ['h2'] },
        () => {
          resolve(socket.getPeerCertificate().serialNumber)
          socket.destroy()
        },
      )
      socket.on('error', reject)
    })
  }
})

test('a shutdown answers what runs, then says UNAVAILABLE, to streams as well', async () => {
  const worker = await startWorker(slowModel())
  const client = insecure(worker)
  try {
    const turns = await turnsFor(client, 1.5)
    const unary = client.unary('ModelInfer', slow(turns), options)
    const streamed = client.stream([slow(10, 'streamed')], { metadata: {}, deadlineMs: 60_000, keepOpen: true })
    await eventually(async () => (await count(worker, 'nv_inference_pending_request_count')) > 0)
    const closed = worker.close()
    await eventually(async () => {
      const late = await insecure(worker).unary('ModelInfer', slow(10), { ...options, deadlineMs: 2000 })
      return late.code === code.unavailable
    })
    expect((await unary).code).toBe(code.ok)
    const stream = await streamed
    expect(stream.answers).toHaveLength(1)
    expect(stream.code).toBe(code.unavailable)
    await closed
  } finally {
    client.close()
  }
})

test('a stream is read only as fast as it is worked off, so that it fills no queue', async () => {
  const worker = await startWorker(slowModel(), { limits: { queueDepth: 4 } })
  const client = insecure(worker)
  try {
    const ids = Array.from({ length: 100 }, (_, index) => String(index))
    const { code: status, answers } = await client.stream(
      ids.map((id) => slow(2000, id)),
      options,
    )
    expect(status).toBe(code.ok)
    expect(answers).toHaveLength(100)
    for (const answer of answers) expect(difference(answer, { error_message: '' })).toBeUndefined()
  } finally {
    client.close()
    await worker.close()
  }
})

test('a stream that is given up takes its waiting requests along', async () => {
  const worker = await startWorker(slowModel())
  const client = insecure(worker)
  try {
    const turns = await turnsFor(client, 1.5)
    const before = await count(worker, 'nv_inference_exec_count')
    const running = client.unary('ModelInfer', slow(turns), options)
    await delay(200)
    const givenUp = await client.stream([slow(10, 'a'), slow(10, 'b')], { ...options, deadlineMs: 300 })
    expect(givenUp).toMatchObject({ code: code.deadlineExceeded, answers: [] })
    expect((await running).code).toBe(code.ok)
    expect((await client.unary('ModelInfer', slow(10), options)).code).toBe(code.ok)
    expect((await count(worker, 'nv_inference_exec_count')) - before).toBe(2)
  } finally {
    client.close()
    await worker.close()
  }
})

test('a full queue is RESOURCE_EXHAUSTED; a call that is given up while it waits is never run', async () => {
  const worker = await startWorker(slowModel(), { limits: { queueDepth: 2 } })
  const client = insecure(worker)
  try {
    const turns = await turnsFor(client, 1.5)
    const before = await count(worker, 'nv_inference_exec_count')
    const running = client.unary('ModelInfer', slow(turns), options)
    await delay(200)
    const givenUp = [1, 2].map(() => client.unary('ModelInfer', slow(10), { ...options, deadlineMs: 300 }))
    await delay(100)
    expect(await client.unary('ModelInfer', slow(10), options)).toMatchObject({
      code: code.resourceExhausted,
      details: 'the queue is full; try again later',
    })
    for (const call of givenUp) expect((await call).code).toBe(code.deadlineExceeded)
    expect((await running).code).toBe(code.ok)
    expect((await client.unary('ModelInfer', slow(10), options)).code).toBe(code.ok)
    expect((await count(worker, 'nv_inference_exec_count')) - before).toBe(2)
  } finally {
    client.close()
    await worker.close()
  }
})

test('messages that arrive at once share one budget with all others, and give it back', async () => {
  const limits = { requestBytes: 256 << 10, responseBytes: 256 << 10 }
  const worker = await startWorker(identityModel('UINT8'), { limits, env: { HANSA_BUFFER_BYTES: String(300 << 10) } })
  try {
    const half = frame(Buffer.alloc(200 << 10), 250 << 10)
    const calls = [1, 2, 3].map(() => rawCall(worker.grpcAddress, half, {}, { keepOpen: true }))
    const first = await Promise.race(calls)
    expect(first).toMatchObject({
      code: code.resourceExhausted,
      message: 'too many request bodies are in memory; try again later',
    })
    const codes = (await Promise.all(calls)).map((call) => call.code)
    // One of them fits and stops coming.
    expect(codes.toSorted()).toEqual([code.deadlineExceeded, code.resourceExhausted, code.resourceExhausted])
    await eventually(async () => (await count(worker, 'hansa_worker_buffered_bytes')) === 0)
  } finally {
    await worker.close()
  }
})

describe('what no client would send', () => {
  let worker: TestWorker
  beforeAll(async () => {
    worker = await startWorker(identityModel('FP32'), { limits: { requestBytes: 64 << 10 } })
  })
  afterAll(async () => worker?.close())

  const cut = Buffer.from([0x0a, 0x04, 0x65])
  test.each<[string, Buffer, Record<string, string>, number | undefined, number]>([
    ['nothing at all', Buffer.alloc(0), {}, code.invalidArgument, 200],
    ['half a prefix', Buffer.from([0, 0]), {}, code.invalidArgument, 200],
    ['a length of 4 GiB', frame(cut, 0xffff_ffff), {}, code.resourceExhausted, 200],
    ['less than it announced', frame(cut, 100), {}, code.invalidArgument, 200],
    ['two messages', Buffer.concat([frame(Buffer.alloc(0)), frame(Buffer.alloc(0))]), {}, code.invalidArgument, 200],
    ['a compressed message', frame(cut, 3, 1), {}, code.unimplemented, 200],
    ['a compression', frame(Buffer.alloc(0)), { 'grpc-encoding': 'gzip' }, code.unimplemented, 200],
    ['bytes that are no message', frame(cut), {}, code.invalidArgument, 200],
    ['a string that is no UTF-8', frame(Buffer.from([0x0a, 1, 0xff])), {}, code.invalidArgument, 200],
    ['an empty message', frame(Buffer.alloc(0)), {}, code.notFound, 200],
    ['a timeout that is none', frame(Buffer.alloc(0)), { 'grpc-timeout': '1 s' }, code.invalidArgument, 200],
    [
      'a timeout of ours that is none',
      frame(Buffer.alloc(0)),
      { 'x-hansa-timeout-ms': 'x' },
      code.invalidArgument,
      200,
    ],
    [
      'an unknown call',
      frame(Buffer.alloc(0)),
      { ':path': '/inference.GRPCInferenceService/No' },
      code.unimplemented,
      200,
    ],
    ['another service', frame(Buffer.alloc(0)), { ':path': '/grpc.health.v1.Health/Check' }, code.unimplemented, 200],
    [
      'a call by the name of a property',
      frame(Buffer.alloc(0)),
      { ':path': '/inference.GRPCInferenceService/toString' },
      code.unimplemented,
      200,
    ],
    [
      'a broken message to a describing call',
      frame(cut),
      { ':path': '/inference.GRPCInferenceService/ModelReady' },
      code.invalidArgument,
      200,
    ],
    ['JSON', Buffer.from('{}'), { 'content-type': 'application/json' }, undefined, 415],
    [
      'another type that begins alike',
      frame(Buffer.alloc(0)),
      { 'content-type': 'application/grpc-web' },
      undefined,
      415,
    ],
    ['another method', frame(Buffer.alloc(0)), { ':method': 'PUT' }, undefined, 405],
  ])('%s is refused', async (_name, body, headers, wanted, status) => {
    expect(await rawCall(worker.grpcAddress, body, headers)).toMatchObject({ httpStatus: status, code: wanted })
    const client = insecure(worker)
    const good = { name: 'x', datatype: 'FP32', shape: [1], contents: { fp32_contents: [1] } }
    expect((await client.unary('ModelInfer', { model_name: 'echo', inputs: [good] }, options)).code).toBe(code.ok)
    client.close()
  })
})

test('statistics tell exactly what was answered and what was refused', async () => {
  const worker = await startWorker(identityModel('FP32'))
  const client = insecure(worker)
  try {
    const input = { name: 'x', datatype: 'FP32', shape: [1], contents: { fp32_contents: [1] } }
    const good = { model_name: 'echo', inputs: [input] }
    for (let round = 0; round < 3; round++) await client.unary('ModelInfer', good, options)
    await client.stream([good, { ...good, inputs: [] }], options)
    await client.unary('ModelInfer', { model_name: 'other' }, options)
    const { response } = await client.unary('ModelStatistics', { name: 'echo' }, options)
    const wanted = {
      name: 'echo',
      version: '1',
      inference_count: '4',
      inference_stats: {
        success: { count: '4' },
        fail: { count: '2' },
        queue: { count: '4' },
        compute_infer: { count: '4' },
      },
      batch_stats: [{ batch_size: '1', compute_infer: { count: '4' } }],
    }
    expect(difference(response, { model_stats: [wanted] })).toBeUndefined()
  } finally {
    client.close()
    await worker.close()
  }
})
