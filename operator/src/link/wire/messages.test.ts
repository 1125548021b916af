import { join } from 'node:path'
import fc from 'fast-check'
import protobuf from 'protobufjs'
import { expect, test } from 'vitest'
import {
  bundleRequest,
  deliverRequest,
  deliverResponse,
  helloRequest,
  helloResponse,
  presentRequest,
} from './messages.ts'

// protobufjs over the schema is the other implementation that ours is held against.
const root = protobuf.loadSync(join(import.meta.dirname, '../../../proto/link.proto'))
const number = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const text = fc.string({ maxLength: 40 })
const refusal = fc.option(fc.record({ reason: text, message: text }), { nil: undefined })

const cases = [
  {
    name: 'HelloRequest',
    codec: helloRequest,
    values: fc.record({
      versions: fc.array(number, { maxLength: 16 }),
      replica: text,
      replicas: number,
      role: fc.nat(2),
    }),
  },
  {
    name: 'HelloResponse',
    codec: helloResponse,
    values: fc.record({ version: number, replica: text, replicas: number }),
  },
  {
    name: 'PresentRequest',
    codec: presentRequest,
    values: fc.record({
      statements: fc.array(fc.record({ standing: fc.nat(4), envelope: text }), { maxLength: 8 }),
    }),
  },
  {
    name: 'DeliverRequest',
    codec: deliverRequest,
    values: fc.record({
      ...{ kind: fc.nat(6), requestId: fc.string({ maxLength: 36, unit: 'binary-ascii' }) },
      ...{ sequence: fc.maxSafeNat(), envelope: text },
    }),
  },
  { name: 'DeliverResponse', codec: deliverResponse, values: fc.record({ taken: fc.maxSafeNat(), refusal }) },
  { name: 'BundleRequest', codec: bundleRequest, values: fc.record({ envelope: text }) },
] as const

test.each(cases)('$name is written and read as protobufjs does', ({ name, codec, values }) => {
  const other = root.lookupType(`hansa.link.v1.${name}`)
  const written: { encode(value: unknown): Buffer; decode(bytes: Uint8Array): unknown } = codec as never
  fc.assert(
    fc.property(values as fc.Arbitrary<Record<string, unknown>>, (value) => {
      const bytes = written.encode(value)
      const read = other.toObject(other.decode(bytes), { longs: Number, enums: Number, defaults: true, arrays: true })
      expect(clean(read)).toEqual(clean(value))
      expect(clean(written.decode(other.encode(other.fromObject(value)).finish()))).toEqual(clean(value))
    }),
  )
})

test('no bytes at all make a reader fail otherwise than by saying so', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const { codec } of cases) {
        try {
          codec.decode(bytes)
        } catch (error) {
          expect(error).toMatchObject({ reason: 'MessageMalformed' })
        }
      }
    }),
  )
})

test('what is over a limit is not read', () => {
  const envelope = 'x'.repeat(262_145)
  expect(() => bundleRequest.decode(bundleRequest.encode({ envelope }))).toThrow('longer than')
  const versions = Array.from({ length: 17 }, (_, index) => index)
  const many = helloRequest.encode({ versions, replica: '', replicas: 0, role: 0 })
  expect(() => helloRequest.decode(many)).toThrow('longer than')
})

/** Without what stands for nothing: an absent message is null here and undefined there. */
function clean(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_key, each: unknown) => (each === null ? undefined : each)))
}
