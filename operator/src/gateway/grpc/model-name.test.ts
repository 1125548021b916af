import { join } from 'node:path'
import fc from 'fast-check'
import protobuf from 'protobufjs'
import { expect, test } from 'vitest'
import { findModelName, headBytes, withModelName } from './model-name.ts'

const root = protobuf.loadSync(join(import.meta.dirname, '../../../proto/open-inference.proto'))
const request = root.lookupType('inference.ModelInferRequest')

const messages = fc.record({
  modelName: fc.string({ maxLength: 80, unit: 'binary' }),
  modelVersion: fc.string({ maxLength: 5 }),
  id: fc.string({ maxLength: 40 }),
  inputs: fc.array(
    fc.record({
      name: fc.string({ maxLength: 9 }),
      datatype: fc.constant('FP32'),
      shape: fc.array(fc.nat(9), { maxLength: 3 }),
    }),
    { maxLength: 3 },
  ),
  rawInputContents: fc.array(fc.uint8Array({ maxLength: 9000 }), { maxLength: 2 }),
})

const decoded = (bytes: Uint8Array) =>
  request.toObject(request.decode(bytes), { defaults: true, longs: Number, bytes: Array })

test('the name that is found is the one that protobufjs reads, and replacing it changes nothing else', () => {
  fc.assert(
    fc.property(messages, fc.string({ minLength: 1, maxLength: 300 }), (message, name) => {
      const bytes = Buffer.from(request.encode(request.fromObject(message)).finish())
      const head = bytes.subarray(0, headBytes)
      const found = findModelName(head, bytes.length)
      const before = decoded(bytes)
      expect(found === 'absent' || found === 'invalid' ? found : found.name).toBe(
        before.modelName === '' && message.modelName === '' ? 'absent' : before.modelName,
      )
      if (found === 'invalid') return
      const rewritten = Buffer.concat([withModelName(head, found, name), bytes.subarray(head.length)])
      expect(decoded(rewritten)).toEqual({ ...before, modelName: name.toWellFormed() })
    }),
    { numRuns: 300 },
  )
})

test('fields in an unusual order do not hide the name', () => {
  const [name, id] = [request.create({ modelName: 'a/b' }), request.create({ id: 'x' })]
  const bytes = Buffer.concat([request.encode(id).finish(), request.encode(name).finish()])
  expect(findModelName(bytes, bytes.length)).toEqual({ name: 'a/b', start: 3, end: 8 })
})

test('a name behind more than the head is not looked for', () => {
  const id = request.encode(request.create({ id: 'x'.repeat(headBytes) })).finish()
  const bytes = Buffer.concat([id, request.encode(request.create({ modelName: 'a/b' })).finish()])
  expect(findModelName(bytes.subarray(0, headBytes), bytes.length)).toBe('absent')
})

test('any bytes are answered, in no more steps than there are bytes, and never beyond the message', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(300), (bytes, more) => {
      const head = Buffer.from(bytes)
      const found = findModelName(head, head.length + more)
      if (found === 'absent' || found === 'invalid') return
      expect(found.start).toBeLessThan(found.end)
      expect(found.end).toBeLessThanOrEqual(head.length)
    }),
    { numRuns: 2000 },
  )
})

test.each([
  ['a length beyond the message', [0x0a, 0x05, 0x61]],
  ['a length of more than 64 bits', [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]],
  ['a tag cut short', [0x80]],
  ['field number 0', [0x02, 0x00]],
  ['a name that is a number', [0x08, 0x01]],
  ['a name of a kilobyte', [0x0a, 0x80, 0x08, ...Array.from({ length: 1024 }, () => 0x61)]],
])('%s is refused', (_what, bytes) => {
  expect(findModelName(Buffer.from(bytes), bytes.length)).toBe('invalid')
})
