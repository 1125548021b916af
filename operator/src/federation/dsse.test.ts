import { assert, asyncProperty, integer, jsonValue, property, string, uint8Array } from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalJson, parseCanonicalJson } from './canonical-json.ts'
import { isEnvelopeBy, maxEnvelopeBytes, preAuthEncoding, readEnvelope, signEnvelope } from './dsse.ts'
import { keySigner, newSigningKey } from './key-signer.ts'

const { signal } = new AbortController()
const signer = keySigner(await newSigningKey())
const other = keySigner(await newSigningKey())

test('the encoding is that of the specification of DSSE v1', () => {
  const text = preAuthEncoding('http://example.com/HelloWorld', Buffer.from('hello world')).toString()
  expect(text).toBe('DSSEv1 29 http://example.com/HelloWorld 11 hello world')
})

test('whatever is signed is read back as it was, and is by its key alone', { timeout: 60_000 }, async () => {
  await assert(
    asyncProperty(jsonValue(), string({ maxLength: 60 }), async (payload, type) => {
      const read = readEnvelope(await signEnvelope(type, payload, signer, signal))
      if (read === undefined) throw new Error('not read back')
      expect(read.payloadType).toBe(type)
      expect(canonicalJson(parseCanonicalJson(read.payload)?.value)).toBe(canonicalJson(payload))
      expect([isEnvelopeBy(signer.publicKey, read), isEnvelopeBy(other.publicKey, read)]).toEqual([true, false])
    }),
    { numRuns: 200 },
  )
})

test('no change of one character of an envelope leaves it valid with another meaning', {
  timeout: 60_000,
}, async () => {
  const text = await signEnvelope('type/a', { n: 1, text: 'grant' }, signer, signal)
  const original = readEnvelope(text)
  assert(
    property(integer({ min: 0, max: text.length - 1 }), integer({ min: 32, max: 126 }), (at, code) => {
      const read = readEnvelope(text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1))
      if (read === undefined || !isEnvelopeBy(signer.publicKey, read)) return
      expect([read.payloadType, Buffer.from(read.payload)]).toEqual([
        original?.payloadType,
        Buffer.from(original?.payload ?? []),
      ])
    }),
    { numRuns: 2_000 },
  )
})

test('whatever text comes, reading it does not throw', () => {
  assert(property(string({ maxLength: 300 }), (text) => void readEnvelope(text)))
  assert(property(jsonValue(), (value) => void readEnvelope(JSON.stringify(value))))
  assert(property(uint8Array({ maxLength: 200 }), (bytes) => void parseCanonicalJson(bytes)))
})

const good = await signEnvelope('type/a', { n: 1 }, signer, signal)
const parts: { payload: string; payloadType: string; signatures: { keyid: string; sig: string }[] } = JSON.parse(good)
const [signature] = parts.signatures

test.for([
  ['no signature', { ...parts, signatures: [] }],
  ['two signatures', { ...parts, signatures: [signature, signature] }],
  ['a member too many', { ...parts, extra: 1 }],
  ['a member too few', { payload: parts.payload, payloadType: parts.payloadType }],
  ['a signature with a member too many', { ...parts, signatures: [{ ...signature, alg: 'none' }] }],
  ['base64 with bits to spare', { ...parts, payload: `${parts.payload.slice(0, -1)}B` }],
  ['base64 with white space', { ...parts, payload: `${parts.payload}\n` }],
  ['two alphabets of base64 in one', { ...parts, payload: '-_+/' }],
  ['a payload that is a list', { ...parts, payload: [parts.payload] }],
  ['a list', [parts]],
] as const)('an envelope with %s is not read', ([, envelope]) => {
  expect(readEnvelope(JSON.stringify(envelope))).toBeUndefined()
})

test('the alphabet of URLs is read too, as DSSE asks', async () => {
  const payload = Buffer.from('"???>>>~~~"').toString('base64url')
  expect(Buffer.from(readEnvelope(JSON.stringify({ ...parts, payload }))?.payload ?? []).toString()).toBe('"???>>>~~~"')
})

test('an envelope above 256 KiB is neither made nor read', async () => {
  await expect(signEnvelope('type/a', 'x'.repeat(maxEnvelopeBytes), signer, signal)).rejects.toThrow('longer than')
  expect(readEnvelope(good + ' '.repeat(maxEnvelopeBytes - good.length))).toBeDefined()
  expect(readEnvelope(good + ' '.repeat(maxEnvelopeBytes - good.length + 1))).toBeUndefined()
})

test('one value has one text', () => {
  expect(canonicalJson({ b: [1, null], a: undefined, A: 'ä' })).toBe('{"A":"ä","b":[1,null]}')
  for (const text of [
    '{"b":1,"a":2}',
    '{"a": 1}',
    '{"a":1,"a":1}',
    '1.0',
    '1e1',
    '-0',
    '"\\u0061"',
    '\ufeff{}',
    '[1',
  ]) {
    expect(parseCanonicalJson(Buffer.from(text)), text).toBeUndefined()
  }
  expect(parseCanonicalJson(Buffer.from([0x22, 0xff, 0x22]))).toBeUndefined()
  expect(parseCanonicalJson(Buffer.from('['.repeat(100_000)))).toBeUndefined()
})
