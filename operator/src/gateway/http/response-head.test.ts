import { expect, test } from 'vitest'
import { responseHead } from './response-head.ts'

test('only headers of the allow list reach the user', () => {
  const headers = {
    'content-type': 'application/json',
    'content-length': '12',
    server: 'secret/1.0',
    'set-cookie': ['a=b'],
    connection: 'close',
    'x-internal': 'y',
    'retry-after': '3',
  }
  expect(responseHead(headers, 'id-1')).toEqual({
    headers: ['x-request-id', 'id-1', 'content-type', 'application/json', 'retry-after', '3', 'content-length', '12'],
    contentLength: 12,
  })
})

test.each([
  { 'content-length': ['1', '2'] },
  { 'content-length': '-1' },
  { 'content-type': ['a/b', 'c/d'] },
])('the contradiction %j is no answer', (headers) => {
  expect(responseHead(headers, 'id-1')).toBeUndefined()
})
