import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import type { AccessKeySpec } from '../api/access-key.ts'
import { keyId } from '../gateway/auth/access-key.ts'
import { rotated } from './key.ts'
import { duration } from './key-commands.ts'

const now = Date.parse('2026-03-01T00:00:00Z')
const sha256 = createHash('sha256').update('x').digest('hex')
type Secret = AccessKeySpec['secrets'][number]
const secret = (id: string, notAfter?: string): Secret => ({
  id: id.padStart(16, '0'),
  sha256,
  ...(notAfter !== undefined && { notAfter }),
})

test('a rotation ends the old secrets with the grace, drops expired ones and never lengthens a life', () => {
  const before = [secret('expired', '2026-02-01T00:00:00Z'), secret('short', '2026-03-01T00:30:00Z'), secret('endless')]
  expect(rotated(before, secret('new'), 3600, now)).toEqual([
    secret('short', '2026-03-01T00:30:00Z'),
    secret('endless', '2026-03-01T01:00:00Z'),
    secret('new'),
  ])
})

test('without grace only the new secret stays', () => {
  expect(rotated([secret('a'), secret('b')], secret('new'), 0, now)).toEqual([secret('new')])
})

test('an AccessKey never holds more than four secrets, however often it is rotated', () => {
  let secrets = [secret('0')]
  for (let i = 1; i < 9; i += 1) secrets = rotated(secrets, secret(`${i}`), 86_400, now)
  expect(secrets.map(({ id }) => Number(id))).toEqual([5, 6, 7, 8])
})

test.each([
  ['45s', 45],
  ['30m', 1800],
  ['12h', 43_200],
  ['90d', 7_776_000],
] as const)('%s is %i seconds', (text, seconds) => {
  expect(duration(text)).toBe(seconds)
})

test.each(['90', 'd', '-1d', '1.5h', '3651d', '1w'])('%s is refused as a duration', (text) => {
  expect(() => duration(text)).toThrow('must be a number with s, m, h or d')
})

test('what gateways take for a key is what is handed out', () => {
  expect(keyId(`hansa_0123456789abcdef_${Buffer.alloc(32, 255).toString('base64url')}`)).toBe('0123456789abcdef')
})
