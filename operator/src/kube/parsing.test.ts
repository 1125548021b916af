import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KubeApiError } from './api-error.ts'
import { pods } from './builtin.ts'
import { parseQuantity } from './quantity.ts'
import { isOlder } from './reflector.ts'
import { keyOf, pathOf, refOfKey } from './resource.ts'
import { errorOfAnswer } from './status.ts'
import { eventOf } from './watch.ts'
import { watchLines } from './watch-lines.ts'

async function* inChunks(bytes: Buffer, cuts: number[]): AsyncGenerator<Buffer> {
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  let from = 0
  for (const end of [...ends, bytes.length]) {
    yield bytes.subarray(from, end)
    from = end
  }
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

test('lines are whole however the network cuts them, and a last one without its end is dropped', async () => {
  const line = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !text.includes('\n'))
  await fc.assert(
    fc.asyncProperty(fc.array(line), line, fc.array(fc.nat()), async (lines, torn, cuts) => {
      const bytes = Buffer.from(lines.map((each) => `${each}\n`).join('') + torn)
      expect(await collect(watchLines(inChunks(bytes, cuts), 1_000_000))).toEqual(lines)
    }),
  )
})

test('an event without end is refused at the limit', async () => {
  const endless = inChunks(Buffer.alloc(5_000, 120), [1_000, 2_000])
  await expect(collect(watchLines(endless, 4_000))).rejects.toMatchObject({ reason: 'ApiServerAnswerTooLarge' })
})

test('whatever a watch line holds, it is an event or a KubeApiError', () => {
  const odd = fc.oneof(
    fc.string(),
    fc.json(),
    fc.record({ type: fc.string(), object: fc.anything() }).map((value) => JSON.stringify(value)),
  )
  fc.assert(
    fc.property(odd, (line) => {
      try {
        expect(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK']).toContain(eventOf(line, '/api').type)
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(KubeApiError)
      }
    }),
  )
})

test('an ERROR event keeps code and reason', () => {
  const line = '{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}'
  expect(() => eventOf(line, '/api/v1/pods?watch=true')).toThrow(
    expect.objectContaining({ status: 410, reason: 'Expired', message: 'GET /api/v1/pods: too old' }),
  )
})

test('whatever an error body holds, the error is bounded and its reason is a word', () => {
  fc.assert(
    fc.property(fc.integer({ min: 300, max: 599 }), fc.oneof(fc.string(), fc.json()), (status, body) => {
      const error = errorOfAnswer(status, undefined, body, { method: 'GET', path: '/x?y' })
      expect(error.status).toBe(status)
      expect(error.reason).toMatch(/^[A-Za-z]{1,64}$/)
      expect(error.message.length).toBeLessThan(1_100)
    }),
  )
})

test('Retry-After comes from the header or the body, and is bounded', () => {
  const request = { method: 'GET', path: '/x' }
  expect(errorOfAnswer(429, '7', '', request)).toMatchObject({ retry: 'after', afterSeconds: 7 })
  expect(errorOfAnswer(500, undefined, '{"details":{"retryAfterSeconds":3}}', request).afterSeconds).toBe(3)
  expect(errorOfAnswer(429, '999999999', '', request).afterSeconds).toBe(3_600)
  expect(errorOfAnswer(429, 'Wed, 21 Oct 2026', '', request).afterSeconds).toBeUndefined()
})

test('no name can leave its place in the path', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (namespace, name) => {
      let path: string
      try {
        path = pathOf(pods, { namespace, name })
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(Error)
        return
      }
      const parts = new URL(path, 'https://x').pathname.split('/')
      const expected =
        namespace === ''
          ? ['', 'api', 'v1', 'pods']
          : ['', 'api', 'v1', 'namespaces', encodeURIComponent(namespace), 'pods']
      expect(parts).toEqual([...expected, encodeURIComponent(name)])
    }),
  )
})

test('keys and references are the same thing', () => {
  expect(keyOf(refOfKey('ns/name'))).toBe('ns/name')
  expect(refOfKey('node-1')).toEqual({ name: 'node-1' })
})

test('quantities are compared by value', () => {
  const same: [string, string][] = [
    ['1000m', '1'],
    ['0.5', '500m'],
    ['1024Mi', '1Gi'],
    ['1e3', '1k'],
    ['1.5Gi', '1536Mi'],
    ['.5', '0.50'],
  ]
  for (const [a, b] of same) expect(parseQuantity(a), `${a} = ${b}`).toBe(parseQuantity(b))
  expect(parseQuantity('1M')).not.toBe(parseQuantity('1Mi'))
  for (const odd of ['', 'x', '1x', '--1', '1 ', 'Ki', '1e', '9'.repeat(100)])
    expect(parseQuantity(odd)).toBeUndefined()
})

test('versions are compared as numbers of any length, and anything else is never older', () => {
  expect(isOlder('9', '10')).toBe(true)
  expect(isOlder('10', '9')).toBe(false)
  expect(isOlder('10', '10')).toBe(false)
  expect(isOlder('99999999999999999998', '99999999999999999999')).toBe(true)
  expect(isOlder('abc', '10')).toBe(false)
  expect(isOlder('1', undefined)).toBe(false)
})
