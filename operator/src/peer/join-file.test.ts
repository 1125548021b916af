import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nonceOf } from '../../../test/builders/join.ts'
import { maxJoinFileBytes, readJoinFile, sha256Of, writeJoinFile } from './join-file.ts'

const invite = {
  kind: 'HansaInvite',
  version: 1,
  nonce: nonceOf('x'),
  expires: '2026-03-08T00:00:00Z',
  bundle: '{"payload":"äöü"}',
} as const
const text = writeJoinFile(invite)
const read = (changed: string | Uint8Array) => readJoinFile('HansaInvite', Buffer.from(changed))

test('what was written is read, with the hash of its bytes', () => {
  expect(read(text)).toEqual({ file: invite, sha256: sha256Of(text) })
})

test.for<[string, string]>([
  ['a member twice', text.replace('"version": 1,', '"version": 1,\n  "version": 1,')],
  ['a member more', text.replace('"version": 1,', '"version": 1,\n  "note": "x",')],
  ['a member less', text.replace('"version": 1,\n', '')],
  ['another order', `${JSON.stringify(Object.fromEntries(Object.entries(invite).reverse()), null, 2)}\n`],
  ['no line break at the end', text.trimEnd()],
  ['line breaks of another system', text.replaceAll('\n', '\r\n')],
  ['a byte order mark', `\ufeff${text}`],
  ['a zero-width character in a name', text.replace('"nonce"', '"non\u200bce"')],
  ['another way to write a character', text.replace('HansaInvite', 'Hansa\\u0049nvite')],
  ['a version that we do not know', text.replace('"version": 1', '"version": 2')],
  ['another number for the version', text.replace('"version": 1', '"version": 1.0')],
  ['a date that is none', text.replace('2026-03-08', '2026-02-30')],
  ['another zone', text.replace('00Z', '00+01:00')],
  ['something after the end', `${text}{}`],
  ['half of it', text.slice(0, text.length / 2)],
  ['nothing', ''],
  ['null', 'null'],
])('a file with %s is refused', ([, changed]) => {
  expect(changed).not.toBe(text)
  expect(read(changed)).toHaveProperty('problem')
})

test('an acceptance is no invite, and the reader says what it is', () => {
  const acceptance = writeJoinFile({
    kind: 'HansaAcceptance',
    version: 1,
    inviteSha256: sha256Of(text),
    nonce: nonceOf('y'),
    bundle: '{}',
  })
  expect(read(acceptance)).toEqual({ problem: 'it is of kind HansaAcceptance' })
})

test('a file that is too long is refused before it is parsed', () => {
  expect(read(Buffer.alloc(maxJoinFileBytes + 1, 0x5b))).toEqual({
    problem: `it is longer than ${maxJoinFileBytes} bytes`,
  })
})

test('no changed byte keeps the meaning of a file: it is refused, or it has another hash', () => {
  const bytes = Buffer.from(text)
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ change
      const result = read(changed)
      return 'problem' in result || result.sha256 !== sha256Of(text)
    }),
    { numRuns: 500 },
  )
})
