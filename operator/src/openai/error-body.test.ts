import { expect, test } from 'vitest'
import { openAiError } from './error-body.ts'

test.each([
  [400, 'invalid_request_error', null],
  [401, 'authentication_error', 'invalid_api_key'],
  [403, 'permission_error', 'permission_denied'],
  [404, 'invalid_request_error', 'not_found'],
  [418, 'invalid_request_error', null],
  [429, 'rate_limit_error', 'rate_limit_exceeded'],
  [500, 'server_error', null],
  [503, 'server_error', 'service_unavailable'],
  [504, 'server_error', 'timeout'],
])('status %i is of type %s with code %s', (status, type, code) => {
  expect(openAiError(status, 'why')).toEqual({ error: { message: 'why', type, code, param: null } })
})
