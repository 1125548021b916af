import { status } from '@grpc/grpc-js'
import { afterEach, expect, test } from 'vitest'
import { eventually, inferenceService, type Rig, startRig } from './gateway-under-test.ts'
import { type GrpcUser, grpcUser } from './grpc-user.ts'
import { answerEcho, type TestGrpcWorker } from './test-grpc-worker.ts'

const infer = 'ModelInfer'
const digits = { modelName: 'apps/digits' }
let rig: Rig
let user: GrpcUser

async function start(workers: number, options: Parameters<typeof startRig>[0] = {}): Promise<TestGrpcWorker[]> {
  rig = await startRig(options)
  user = grpcUser(rig)
  const started: TestGrpcWorker[] = []
  for (let i = 0; i < workers; i += 1) started.push(await rig.addGrpc(await rig.addWorker()))
  return started
}

afterEach(async () => {
  user.close()
  await rig.stop()
})

test('a worker that cannot be reached is passed over, and so is one that refuses', async () => {
  const [first, second] = await start(2)
  if (first === undefined || second === undefined) throw new Error('two workers were started')
  await first.kill()
  for (let i = 0; i < 10; i += 1) expect(await user.unary(infer, digits)).toMatchObject({ code: status.OK })
  expect(await rig.registry.metrics()).toContain('reason="unreachable"')
  expect(second.requests.length).toBe(10)
})

test('a refusal by a draining worker goes to another, one that may have begun does not', async () => {
  const [first, second] = await start(2)
  if (first === undefined || second === undefined) throw new Error('two workers were started')
  first.infer = (_call, answer) => answer({ code: status.UNAVAILABLE, details: 'draining' })
  for (let i = 0; i < 6; i += 1) expect(await user.unary(infer, digits)).toMatchObject({ code: status.OK })
  first.infer = answerEcho
  second.infer = () => void second.kill()
  await eventually(async () => {
    const answer = await user.unary(infer, digits)
    expect(answer).toMatchObject({ code: status.UNAVAILABLE, details: 'the worker closed the connection' })
  })
  await eventually(async () => expect(await user.unary(infer, digits)).toMatchObject({ code: status.OK }))
})

test('an idle stream outlives its worker; one with a request under way ends', async () => {
  const [first, second] = await start(2)
  if (first === undefined || second === undefined) throw new Error('two workers were started')
  const stream = await user.stream()
  stream.send({ ...digits, id: 'a' })
  await eventually(() => expect(stream.received).toHaveLength(1))
  await (first.requests.length > 0 ? first : second).kill()
  const left = first.requests.length > 0 ? second : first
  await eventually(() => expect(left.openStreams + first.openStreams + second.openStreams).toBe(0))
  stream.send({ ...digits, id: 'b' })
  await eventually(() => expect(stream.received.map(({ inferResponse }) => inferResponse?.id)).toEqual(['a', 'b']))
  left.stream = () => void left.kill()
  const busy = await user.stream()
  busy.send(digits)
  expect(await busy.ended).toMatchObject({ code: status.UNAVAILABLE, details: 'the worker closed the connection' })
  stream.cancel()
})

test('a slow reader slows the worker down instead of filling the memory', async () => {
  const [worker] = await start(1)
  if (worker === undefined) throw new Error('a worker was started')
  const chunk = Buffer.alloc(1 << 20)
  let written = 0
  worker.stream = (call) => {
    const more = () => {
      while (written < 200 && call.write({ inferResponse: { rawOutputContents: [chunk] } })) written += 1
    }
    call.on('drain', () => {
      written += 1
      more()
    })
    call.once('data', more)
  }
  const stream = await user.stream()
  stream.call.pause()
  stream.send(digits)
  await eventually(() => expect(written).toBeGreaterThan(0))
  const settled = await eventually(async () => {
    const before = written
    await new Promise((resolve) => setTimeout(resolve, 400))
    expect(written).toBe(before)
    return written
  })
  // What the kernel's socket buffers of both hops may hold, far from the 200 that are ready to be sent.
  expect(settled).toBeLessThan(80)
  stream.cancel()
  await eventually(() => expect(worker.openStreams).toBe(0))
})

test('a worker that does not read slows the sender down', async () => {
  const [worker] = await start(1)
  if (worker === undefined) throw new Error('a worker was started')
  worker.stream = (call) => call.pause()
  const stream = await user.stream()
  let sent = 0
  const chunk = { ...digits, rawInputContents: [Buffer.alloc(1 << 20)] }
  while (sent < 100 && stream.send(chunk)) sent += 1
  const metricsOf = async () =>
    Number(/hansa_gateway_grpc_stream_requests_total\{[^}]*\} (\d+)/.exec(await rig.registry.metrics())?.[1] ?? 0)
  for (let i = 0; i < 60; i += 1) stream.send(chunk)
  await eventually(async () => expect(await metricsOf()).toBeGreaterThan(0))
  const reached = await eventually(async () => {
    const before = await metricsOf()
    await new Promise((resolve) => setTimeout(resolve, 400))
    expect(await metricsOf()).toBe(before)
    return before
  })
  expect(reached).toBeLessThan(20)
  stream.cancel()
})

test('shutting down ends idle streams with words, finishes what is under way, and takes no new calls', async () => {
  const [worker] = await start(1)
  if (worker === undefined) throw new Error('a worker was started')
  let go = () => {}
  worker.infer = (call, answer) => {
    go = () => answerEcho(call, answer)
  }
  const idle = await user.stream()
  idle.send(digits)
  await eventually(() => expect(idle.received).toHaveLength(1))
  const untouched = await user.stream()
  const answer = user.unary(infer, { ...digits, id: 'last' })
  await eventually(() => expect(worker.requests.length).toBe(2))
  const closed = rig.gateway.close()
  const drained = { code: status.UNAVAILABLE, details: expect.stringContaining('open a new stream') }
  expect(await idle.ended).toMatchObject(drained)
  expect(await untouched.ended).toMatchObject(drained)
  go()
  expect(await answer).toMatchObject({ code: status.OK, message: { id: 'last' } })
  await closed
  expect(await user.unary(infer, digits, { deadlineMs: 500 })).not.toMatchObject({ code: status.OK })
})

test('a call waits for a sleeping service to wake, and so does a request of a stream', async () => {
  await start(0, {
    services: [inferenceService('digits', 'apps', { scaling: { minReplicas: 0, maxReplicas: 2 } })],
  })
  await eventually(async () => expect(await rig.registry.metrics()).toMatch(/hansa_gateway_ready_workers\{.*\} 0/))
  const call = user.unary(infer, { ...digits, id: 'cold' })
  const stream = await user.stream()
  stream.send({ ...digits, id: 'stream' })
  await eventually(async () => expect(await rig.registry.metrics()).toMatch(/hansa_gateway_held\{.*\} 2/))
  const woken = await rig.addWorker()
  await rig.addGrpc(woken)
  expect(await call).toMatchObject({ code: status.OK, message: { id: 'cold' } })
  await eventually(() => expect(stream.received).toMatchObject([{ inferResponse: { id: 'stream' } }]))
  stream.cancel()
})
