import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseTarget } from './target.ts'

test('a service path is split into service and worker path, and the query goes along', () => {
  expect(parseTarget('/apps/digits/v2/models/digits/infer?a=1')).toEqual({
    target: {
      namespace: 'apps',
      service: 'digits',
      workerPath: '/v2/models/digits/infer?a=1',
      path: '/apps/digits/v2/models/digits/infer',
    },
  })
  expect(parseTarget('/apps/digits/v2')).toMatchObject({ target: { workerPath: '/v2' } })
})

test.each([
  '/apps/digits/v2/../v2/models',
  '/apps/digits/v2/./models',
  '/apps/digits/v2/models/%2e%2e/x',
  '/apps/digits/v2/models%2Fx',
  '/apps/digits/v2/models%5Cx',
  '/apps/digits/v2/models\\x',
  '/apps/digits//v2/models',
  '//apps/digits/v2',
  '/apps/digits/v2/models/%00',
  '/apps/digits/v2/models/\u0000',
  '/apps/digits/v2#x',
  '/apps/digits/v2/a;b',
  'https://other/apps/digits/v2',
  'apps/digits/v2',
  '*',
  '',
])('the ambiguous target %j is refused with 400', (target) => {
  expect(parseTarget(target)).toMatchObject({ status: 400 })
})

test.each([
  '/',
  '/livez',
  '/apps/digits',
  '/apps/digits/v3/models',
  '/apps/digits/v22',
  '/APPS/digits/v2',
  '/apps/-digits/v2',
  '/v2',
])('the target %j is no service: 404', (target) => {
  expect(parseTarget(target)).toMatchObject({ status: 404 })
})

test('a target beyond 2048 characters is refused with 414', () => {
  expect(parseTarget(`/apps/digits/v2/${'a'.repeat(2048)}`)).toMatchObject({ status: 414 })
})

test('whatever is let through has one reading: URL parsers agree with it and it stays below /v2', () => {
  const pieces = fc.constantFrom(
    '/',
    '/v2',
    '/apps',
    '/digits',
    '.',
    '..',
    '%2e',
    '%2f',
    '%',
    '\\',
    ';',
    '?',
    '#',
    '@',
    ':',
    'a',
    '\t',
    'é',
    '//',
  )
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
      const given = `/apps/digits/v2${parts.join('')}`
      const result = parseTarget(given)
      if (!('target' in result)) return
      const { target } = result
      const url = new URL(target.workerPath, 'https://worker')
      expect(url.pathname + url.search).toBe(target.workerPath)
      expect(url.host).toBe('worker')
      expect(target.workerPath.startsWith('/v2')).toBe(true)
      // A query that is empty is dropped.
      expect([given, given.slice(0, -1)]).toContain(`/${target.namespace}/${target.service}${target.workerPath}`)
    }),
    { numRuns: 3000 },
  )
})
