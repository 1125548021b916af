import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { readHead } from './request-head.ts'

function request(method: string, ...rawHeaders: string[]): IncomingMessage {
  const message = new IncomingMessage(new Socket())
  Object.assign(message, { method, rawHeaders, httpVersion: '1.1', httpVersionMajor: 1, httpVersionMinor: 1 })
  return message
}

test('only headers of the allow list are forwarded', () => {
  const read = readHead(
    request(
      'POST',
      ...[
        'Host',
        'gw',
        'Authorization',
        'Bearer x',
        'Cookie',
        'a=b',
        'X-Hansa-Timeout-Ms',
        '9',
        'Connection',
        'close, x-odd',
      ],
      ...[
        'X-Forwarded-For',
        '1.2.3.4',
        'Forwarded',
        'for=x',
        'Via',
        'p',
        'Proxy-Authorization',
        'y',
        'TE',
        'trailers',
        'Upgrade',
        'h2c',
      ],
      ...[
        'Content-Type',
        'application/json',
        'Inference-Header-Content-Length',
        '12',
        'Accept',
        '*/*',
        'Content-Length',
        '5',
      ],
    ),
  )
  expect(read).toMatchObject({
    head: {
      forwarded: ['content-type', 'application/json', 'inference-header-content-length', '12', 'accept', '*/*'],
      contentLength: 5,
      chunked: false,
      authorization: 'Bearer x',
    },
  })
})

test.each([
  [505, 'HTTP/1.0', () => Object.assign(request('GET', 'Host', 'a'), { httpVersion: '1.0' })],
  [405, 'another method', () => request('PUT', 'Host', 'a')],
  [400, 'no host', () => request('GET')],
  [400, 'two hosts', () => request('GET', 'Host', 'a', 'host', 'b')],
  [
    400,
    'two authorizations',
    () => request('GET', 'Host', 'a', 'Authorization', 'Bearer x', 'authorization', 'Bearer y'),
  ],
  [400, 'two lengths', () => request('POST', 'Host', 'a', 'Content-Length', '1', 'Content-Length', '1')],
  [400, 'two content types', () => request('POST', 'Host', 'a', 'Content-Type', 'x/y', 'Content-Type', 'x/z')],
  [400, 'length and coding', () => request('POST', 'Host', 'a', 'Content-Length', '1', 'Transfer-Encoding', 'chunked')],
  [400, 'a length with a sign', () => request('POST', 'Host', 'a', 'Content-Length', '+1')],
  [501, 'another coding', () => request('POST', 'Host', 'a', 'Transfer-Encoding', 'gzip, chunked')],
  [400, 'a body on GET', () => request('GET', 'Host', 'a', 'Content-Length', '1')],
  [400, 'another expectation', () => request('POST', 'Host', 'a', 'Expect', 'x')],
  [400, 'a deadline of zero', () => request('POST', 'Host', 'a', 'X-Request-Timeout-Ms', '0')],
  [400, 'a deadline above an hour', () => request('POST', 'Host', 'a', 'X-Request-Timeout-Ms', '3600001')],
  [400, 'a deadline in words', () => request('POST', 'Host', 'a', 'X-Request-Timeout-Ms', '1e3')],
  [431, 'too many headers', () => request('GET', ...Array.from({ length: 65 }, (_, i) => [`h${i}`, 'x']).flat())],
])('%d for %s', (status, _what, make) => {
  expect(readHead(make())).toMatchObject({ status })
})
