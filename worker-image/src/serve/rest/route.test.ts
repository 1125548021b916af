import { expect, test } from 'vitest'
import { answerFor } from './http-problem.ts'
import { route } from './route.ts'

const model = { name: 'digits', version: '1' }

test.each([
  ['GET', '/v2', 'server'],
  ['GET', '/v2/health/live', 'live'],
  ['HEAD', '/v2/health/ready', 'ready'],
  ['GET', '/v2/models', 'models'],
  ['GET', '/v2/models/digits', 'model'],
  ['GET', '/v2/models/digits/versions/1', 'model'],
  ['GET', '/v2/models/digits/ready?x=1', 'modelReady'],
  ['GET', '/v2/models/digits/versions/1/ready', 'modelReady'],
  ['POST', '/v2/models/digits/infer', 'infer'],
  ['POST', '/v2/models/%64igits/versions/1/infer', 'infer'],
])('%s %s is %s', (method, url, kind) => {
  expect(route(method, url, model).kind).toBe(kind)
})

test.each([
  ['GET', '/', 404],
  ['GET', '/v1/models', 404],
  ['GET', '/v2/health', 404],
  ['GET', '/v2/health/live/x', 404],
  ['GET', '/v2/models/other', 404],
  ['GET', '/v2/models/digits/versions', 404],
  ['GET', '/v2/models/digits/versions/2', 404],
  ['GET', '/v2/models/digits/nope', 404],
  ['GET', '/v2/models/digits/ready/x', 404],
  ['GET', '/v2/models/digits/', 404],
  ['GET', '/v2/models/..%2fdigits', 404],
  ['GET', '/v2/models/%', 400],
  ['GET', 'http://host/v2', 400],
  ['OPTIONS', '*', 400],
  ['POST', '/v2', 405],
  ['GET', '/v2/models/digits/infer', 405],
  ['DELETE', '/v2/models/digits', 405],
  ['POST', '/v2/repository/models/digits/load', 501],
  ['GET', '/v2/models/digits/config', 501],
  ['POST', '/v2/models/digits/generate', 501],
  ['GET', '/v2/systemsharedmemory/status', 501],
])('%s %s answers %i', (method, url, status) => {
  let thrown: unknown
  try {
    route(method, url, model)
  } catch (error) {
    thrown = error
  }
  expect(answerFor(thrown).status).toBe(status)
})

test('an unknown error tells the client nothing', () => {
  expect(answerFor(new Error('/secret/path: tensor 42'))).toEqual({
    status: 500,
    message: 'internal error',
    headers: {},
  })
})
