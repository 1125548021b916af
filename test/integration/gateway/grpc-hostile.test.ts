import { type ClientHttp2Session, connect, constants } from 'node:http2'
import { status } from '@grpc/grpc-js'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { eventually, inferenceService, type Rig, startRig } from './gateway-under-test.ts'
import { grpcUser } from './grpc-user.ts'

const path = '/inference.GRPCInferenceService/ModelInfer'
let rig: Rig
let session: ClientHttp2Session

beforeAll(async () => {
  rig = await startRig({
    services: [inferenceService('digits', 'apps', { limits: { requestBytes: 4_000_000_000 / 4 } })],
  })
  await rig.addGrpc(await rig.addWorker())
})
afterEach(async () => {
  session.destroy()
  const user = grpcUser(rig)
  expect(await user.unary('ModelInfer', { modelName: 'apps/digits' })).toMatchObject({ code: status.OK })
  user.close()
})
afterAll(() => rig.stop())

function open(): ClientHttp2Session {
  session = connect(rig.gateway.grpcUrl.replace('127.0.0.1', 'localhost'), { ca: rig.authority.caPem })
  session.on('error', () => undefined)
  return session
}

function call(headers: Record<string, string> = {}) {
  const stream = session.request(
    { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers },
    { endStream: false },
  )
  stream.on('error', () => undefined)
  return stream
}

test('a client that opens calls only to reset them is disconnected', async () => {
  open()
  const closed = new Promise((resolve) => session.once('close', resolve))
  const flood = setInterval(() => {
    for (let i = 0; i < 100 && !session.destroyed && !session.closed; i += 1) call().close(constants.NGHTTP2_CANCEL)
  }, 5)
  await closed
  clearInterval(flood)
})

test('a client that floods with pings is disconnected', async () => {
  open()
  const closed = new Promise((resolve) => session.once('close', resolve))
  const flood = setInterval(() => {
    for (let i = 0; i < 10 && !session.destroyed && !session.closed; i += 1) session.ping(() => undefined)
  }, 2)
  await closed
  clearInterval(flood)
})

test('metadata above 64 headers is refused before anything is done', async () => {
  open()
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`x-${i}`, 'y']))
  const stream = call(many)
  await new Promise((resolve) => stream.once('close', resolve))
  expect(stream.rstCode).not.toBe(constants.NGHTTP2_NO_ERROR)
})

test('who has no token gets an answer without a byte of the message being taken', async () => {
  open()
  const stream = call()
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(900_000_000, 1)
  stream.write(prefix)
  let sent = 0
  const chunk = Buffer.alloc(65_536)
  const more = () => {
    while (!stream.destroyed && !stream.closed && sent < 900_000_000) {
      sent += chunk.length
      if (!stream.write(chunk)) return
    }
  }
  stream.on('drain', more)
  more()
  stream.resume()
  const code = new Promise((resolve) => stream.once('response', (headers) => resolve(headers['grpc-status'])))
  expect(await code).toBe(String(status.UNAUTHENTICATED))
  await new Promise((resolve) => stream.once('close', resolve))
  expect(sent).toBeLessThan(8 << 20)
})

test('calls above what a connection may have at once wait for their turn at the client', async () => {
  open()
  await eventually(() => expect(session.remoteSettings.maxConcurrentStreams).toBe(128))
})
