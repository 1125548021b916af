import type { ClientHttp2Session } from 'node:http2'
import { Duplex } from 'node:stream'
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

test('the head is told before the bytes that came in the same packet', async () => {
  // Node's order, seldom enough that real connections show it under load only: bytes at once, the head a tick later.
  const stream = Object.assign(new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() }), {
    rstCode: 0,
    close: () => undefined,
  })
  // All that a call needs of a session.
  const session = { request: () => stream, closed: false, destroyed: false } as unknown as ClientHttp2Session
  const heard: string[] = []
  const ended = Promise.withResolvers<void>()
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart: () => heard.push('start'),
    onResponseStart: (_controller, status) => heard.push(`head ${status}`),
    onResponseData: (_controller, chunk) => heard.push(`data ${chunk}`),
    onResponseEnd: () => ended.resolve(),
    onResponseError: (_controller, error) => ended.reject(error),
  }
  const lines = { callerOf: () => session, isSilent: () => false }
  const request = { path: '/v2/models/m/infer', method: 'POST' as const, headers: [], body: Buffer.from('x') }
  new PeerCall({ at, namespace: 'apps', service: 'digits', lines }, request, handler).start()
  setImmediate(() => {
    stream.push('body')
    process.nextTick(() => stream.emit('response', { ':status': 200 }))
    stream.push(null)
  })
  await ended.promise
  expect(heard).toEqual(['start', 'head 200', 'data body'])
})
