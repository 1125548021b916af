import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseChallenges } from './challenge.ts'

const read = (header: string | string[] | undefined) =>
  parseChallenges(header).map(({ scheme, params }) => [scheme, Object.fromEntries(params)])

test('what registries send is read', () => {
  expect(
    read('Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull"'),
  ).toEqual([
    ['bearer', { realm: 'https://auth.docker.io/token', service: 'registry.docker.io', scope: 'repository:a/b:pull' }],
  ])
  expect(read('Basic realm="models"')).toEqual([['basic', { realm: 'models' }]])
  expect(read('Bearer')).toEqual([['bearer', {}]])
  expect(read(undefined)).toEqual([])
})

test('several challenges are told apart, in one header or in several', () => {
  const both = [
    ['negotiate', {}],
    ['basic', { realm: 'a, b="c"', charset: 'UTF-8' }],
    ['bearer', { realm: 'https://x' }],
  ]
  expect(read('Negotiate, Basic realm="a, b=\\"c\\"", charset="UTF-8", Bearer realm="https://x"')).toEqual(both)
  expect(read(['Negotiate', 'Basic realm="a, b=\\"c\\"", charset="UTF-8"', 'Bearer realm="https://x"'])).toEqual(both)
  expect(read('Negotiate dG9rZW4=, Bearer realm=x')).toEqual([
    ['negotiate', {}],
    ['bearer', { realm: 'x' }],
  ])
})

test('a second parameter of a name changes nothing, and nonsense ends the list', () => {
  expect(read('Bearer realm="https://a", realm="https://b"')).toEqual([['bearer', { realm: 'https://a' }]])
  expect(read('Bearer realm="https://a')).toEqual([['bearer', {}]])
  expect(read('="x"')).toEqual([])
})

test('any header is read without failing, and what was written comes back', () => {
  fc.assert(fc.property(fc.string({ maxLength: 300 }), (text) => Array.isArray(read(text))))
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/)
  const value = fc.stringMatching(/^[\x20-\x7e]{0,40}$/)
  const challenge = fc.tuple(name, fc.dictionary(name, value, { minKeys: 1, maxKeys: 4 }))
  fc.assert(
    fc.property(fc.array(challenge, { maxLength: 4 }), (challenges) => {
      const quoted = (text: string) => `"${text.replaceAll(/["\\]/g, '\\$&')}"`
      const header = challenges
        .map(
          ([scheme, params]) =>
            `${scheme} ${Object.entries(params)
              .map(([key, text]) => `${key}=${quoted(text)}`)
              .join(', ')}`,
        )
        .join(', ')
      expect(read(header)).toEqual(challenges.map(([scheme, params]) => [scheme, { ...params }]))
    }),
  )
})
