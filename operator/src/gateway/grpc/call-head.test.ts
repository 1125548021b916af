import { expect, test } from 'vitest'
import { parseServiceName, readCallHead, timeoutOf } from './call-head.ts'
import { codeOfStatus, encodeMessage, grpcCode, statusOfCode } from './code.ts'

const path = '/inference.GRPCInferenceService/ModelInfer'
const good = [':method', 'POST', ':path', path, 'content-type', 'application/grpc', 'authorization', 'Bearer a.b.c']

test('what is needed is read, the rest is dropped', () => {
  expect(readCallHead([...good, 'cookie', 'a=b', 'x-hansa-timeout-ms', '1', 'hansa-service', 'apps/digits'])).toEqual({
    head: {
      method: { name: 'ModelInfer', path, use: 'named' },
      authorization: 'Bearer a.b.c',
      service: { namespace: 'apps', service: 'digits' },
      requestId: undefined,
      traceparent: undefined,
      tracestate: undefined,
      userAgent: undefined,
      timeoutMs: undefined,
    },
  })
})

test.each([
  ['a second token', [...good, 'authorization', 'Bearer d.e.f'], 400],
  [
    'a method that is not there',
    [':method', 'POST', ':path', '/inference.X/Y', 'content-type', 'application/grpc'],
    501,
  ],
  ['compression', [...good, 'grpc-encoding', 'gzip'], 501],
  ['a timeout that is none', [...good, 'grpc-timeout', '123456789S'], 400],
  ['a service of another form', [...good, 'hansa-service', 'digits'], 400],
])('%s is refused', (_what, headers, status) => {
  expect(readCallHead(headers)).toMatchObject({ refusal: { status } })
})

test('what is not gRPC is told so in HTTP', () => {
  expect(readCallHead([':method', 'GET', ':path', path])).toEqual({ httpStatus: 405 })
  expect(readCallHead([':method', 'POST', ':path', path, 'content-type', 'application/json'])).toEqual({
    httpStatus: 415,
  })
})

test.each([
  ['1H', 3_600_000],
  ['99999999H', 3_600_000],
  ['2S', 2000],
  ['1n', 1],
  ['', Number.NaN],
  ['1', Number.NaN],
  ['-1S', Number.NaN],
])('grpc-timeout %s is %s ms', (text, milliseconds) => {
  expect(timeoutOf(text)).toBe(milliseconds)
})

test('a service has a namespace and a name and nothing more', () => {
  expect(parseServiceName('apps/digits.v2')).toEqual({ namespace: 'apps', service: 'digits.v2' })
  for (const text of [
    'apps',
    '/digits',
    'apps/',
    'apps/digits/x',
    'Apps/digits',
    'apps/../x',
    `apps/${'x'.repeat(400)}`,
  ]) {
    expect(parseServiceName(text)).toBeUndefined()
  }
})

test('codes and statuses say the same, and messages are printable', () => {
  for (const code of Object.values(grpcCode)) expect(statusOfCode(code)).toBeGreaterThanOrEqual(200)
  for (const status of [400, 401, 403, 404, 429, 501, 503, 504]) expect(statusOfCode(codeOfStatus(status))).toBe(status)
  expect(encodeMessage('50 % für\n')).toBe('50 %25 f%C3%BCr%0A')
})
