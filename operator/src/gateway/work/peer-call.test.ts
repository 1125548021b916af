import { connect, performServerHandshake, type ServerHttp2Stream } from 'node:http2'
import { duplexPair } from 'node:stream'
import type { Dispatcher } from 'undici'
import { expect, test } from 'vitest'
import type { RoutedPeer } from '../route/peer-endpoint.ts'
import { PeerCall } from './peer-call.ts'

const at: RoutedPeer = {
  peer: 'b',
  requestId: '00000000-0000-4000-8000-000000000001',
  epoch: 1,
  replicas: 1,
  revision: 'r1',
  percent: 100,
  model: 'a'.repeat(64),
  dataClass: 'Public',
  purpose: 'inference',
}

/** What a handler hears of one call that is answered so. */
async function call(answer: (stream: ServerHttp2Stream) => void): Promise<string[]> {
  const [near, wire] = duplexPair()
  const [end, far] = duplexPair()
  wire.pipe(end)
  // All of an answer comes in one piece, as in one TLS record.
  let gathered: Buffer[] = []
  end.on('data', (chunk: Buffer) => {
    if (gathered.push(chunk) > 1) return
    setTimeout(() => {
      wire.write(Buffer.concat(gathered))
      gathered = []
    }, 10)
  })
  performServerHandshake(far).on('stream', (stream) => {
    stream.on('error', () => undefined)
    stream.resume()
    answer(stream)
  })
  const session = connect('http://peer', { createConnection: () => near })
  const heard: string[] = []
  const ended = Promise.withResolvers<void>()
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart: () => heard.push('start'),
    onResponseStart: (_controller, status) => heard.push(`head ${status}`),
    onResponseData: (_controller, chunk) => heard.push(`data ${chunk}`),
    onResponseEnd: () => {
      heard.push('end')
      ended.resolve()
    },
    onResponseError: (_controller, error) => {
      heard.push(`error ${error.name}`)
      ended.resolve()
    },
  }
  const lines = { callerOf: () => session, isSilent: () => false }
  const request = { path: '/v2/models/m/infer', method: 'POST', headers: [], body: Buffer.from('x') } as const
  new PeerCall({ at, namespace: 'apps', service: 'digits', lines }, { ...request, headers: [] }, handler).start()
  await ended.promise
  session.destroy()
  return heard
}

test('the head is told before the bytes that came in the same packet', async () => {
  const heard = await call((stream) => {
    stream.respond({ ':status': 200 })
    stream.end('body')
  })
  expect(heard).toEqual(['start', 'head 200', 'data body', 'end'])
})

test('an answer without a body ends', async () => {
  const heard = await call((stream) => stream.respond({ ':status': 204 }, { endStream: true }))
  expect(heard).toEqual(['start', 'head 204', 'end'])
})

test('a stream that the peer resets before its answer is an error, once', async () => {
  expect(await call((stream) => stream.close(2))).toEqual(['start', 'error Error'])
})

test('a stream that the peer did not take is told as such', async () => {
  expect(await call((stream) => stream.close(7))).toEqual(['start', 'error NotTakenError'])
})
