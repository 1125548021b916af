import fc from 'fast-check'
import protobuf from 'protobufjs'
import { describe, expect, test } from 'vitest'
import { type Datatype, elementBytes } from '../datatype.ts'
import { InferProblem } from '../problem.ts'
import type { Tensor } from '../tensor.ts'
import { contentsFields } from './contents-field.ts'
import { decodeInfer } from './decode-infer.ts'
import { inSlices } from './in-slices.ts'
import { readContents } from './read-contents.ts'
import { writeContents } from './write-contents.ts'

// protobufjs over the schema is the other implementation that ours is held against.
const schema = new URL('../../../../operator/proto/open-inference.proto', import.meta.url).pathname
const root = protobuf.loadSync(schema)
const requestType = root.lookupType('inference.ModelInferRequest')
const contentsType = root.lookupType('inference.InferTensorContents')
const never = new AbortController().signal

const read = (message: Buffer, datatype: Datatype, elements: number, reserve = (_bytes: number) => {}) =>
  inSlices(
    readContents(
      { message, contents: [{ from: 0, end: message.byteLength }], label: 'input "x"', datatype, elements },
      reserve,
    ),
    never,
  )

const values: [Datatype, string, fc.Arbitrary<unknown>, (list: never[]) => ArrayBufferView][] = [
  ['BOOL', 'boolContents', fc.boolean(), (list) => Uint8Array.from(list, Number)],
  ['INT8', 'intContents', fc.integer({ min: -128, max: 127 }), (list) => Int8Array.from(list)],
  ['INT16', 'intContents', fc.integer({ min: -32_768, max: 32_767 }), (list) => Int16Array.from(list)],
  ['INT32', 'intContents', fc.integer(), (list) => Int32Array.from(list)],
  ['UINT8', 'uintContents', fc.nat(255), (list) => Uint8Array.from(list)],
  ['UINT16', 'uintContents', fc.nat(65_535), (list) => Uint16Array.from(list)],
  ['UINT32', 'uintContents', fc.integer({ min: 0, max: 2 ** 32 - 1 }), (list) => Uint32Array.from(list)],
  ['INT64', 'int64Contents', fc.maxSafeInteger(), (list) => BigInt64Array.from(list, BigInt)],
  ['UINT64', 'uint64Contents', fc.maxSafeNat(), (list) => BigUint64Array.from(list, BigInt)],
  ['FP32', 'fp32Contents', fc.float({ noNaN: true }), (list) => Float32Array.from(list)],
  ['FP64', 'fp64Contents', fc.double({ noNaN: true }), (list) => Float64Array.from(list)],
]

describe('typed contents', () => {
  test.each(values)('of %s are read and written as protobufjs does', async (datatype, field, value, typed) => {
    await fc.assert(
      fc.asyncProperty(fc.array(value, { maxLength: 200 }), async (list) => {
        const message = Buffer.from(contentsType.encode({ [field]: list }).finish())
        const array = typed(list as never[])
        const wanted = Buffer.from(array.buffer, array.byteOffset, array.byteLength)
        expect(Buffer.from(await read(message, datatype, list.length))).toEqual(wanted)
        const tensor = { name: 'y', datatype, shape: [list.length], byteLength: wanted.byteLength, pieces: [wanted] }
        const written = await inSlices(
          writeContents(tensor, 1 << 20, () => new Error('large')),
          never,
        )
        expect(written.finish()).toEqual(message)
      }),
    )
  })

  test('of BYTES are read and written as protobufjs does', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 50 }), async (list) => {
        const message = Buffer.from(contentsType.encode({ bytesContents: list }).finish())
        const wanted = Buffer.concat(
          list.flatMap((element) => [Buffer.from(Uint32Array.of(element.byteLength).buffer), element]),
        )
        expect(Buffer.from(await read(message, 'BYTES', list.length))).toEqual(wanted)
        const tensor: Tensor = {
          name: 'y',
          datatype: 'BYTES',
          shape: [list.length],
          byteLength: wanted.byteLength,
          pieces: [wanted],
        }
        expect(
          (
            await inSlices(
              writeContents(tensor, 1 << 20, () => new Error('large')),
              never,
            )
          ).finish(),
        ).toEqual(message)
      }),
    )
  })

  test('may come one by one instead of packed, and in several parts', async () => {
    const unpacked = Buffer.from([0x10, 1, 0x10, 2, 0x12, 2, 3, 4])
    expect([...(await read(unpacked, 'INT8', 4))]).toEqual([1, 2, 3, 4])
  })

  test.each<[string, Datatype, number[], number, string]>([
    ['too few elements', 'INT32', [0x12, 1, 7], 2, 'data has fewer elements than its shape'],
    ['too many elements', 'INT32', [0x12, 2, 7, 7], 1, 'data has more elements than its shape'],
    ['a value beyond INT8', 'INT8', [0x12, 2, 0x80, 1], 1, 'element 0 is out of the range of the datatype'],
    ['a value beyond 32 bits', 'UINT32', [0x22, 5, 0x80, 0x80, 0x80, 0x80, 0x10], 1, 'out of the range'],
    ['the field of another datatype', 'INT32', [0x1a, 1, 7], 1, 'INT32 belongs into int_contents'],
    ['half a float', 'FP32', [0x32, 2, 0, 0], 1, 'ends in the middle of an element'],
    ['a length beyond the message', 'FP32', [0x32, 100, 0], 1, 'longer than the message'],
    ['a varint that does not end', 'INT64', [0x1a, 2, 0x80, 0x80], 0, 'ends in the middle of a value'],
    ['a group', 'INT64', [0x7b, 0x7c], 0, 'unknown form'],
  ])('with %s are refused', async (_name, datatype, bytes, elements, wanted) => {
    const problem = await read(Buffer.from(bytes), datatype, elements).catch((error: unknown) => error)
    expect(problem).toBeInstanceOf(InferProblem)
    expect(String(problem)).toContain(wanted)
  })

  test('reserve no more memory than their elements take, and none when they are wrong', async () => {
    const reserved: number[] = []
    const message = Buffer.from(contentsType.encode({ int64Contents: [1, 2, 3] }).finish())
    await read(message, 'INT64', 3, (bytes) => reserved.push(bytes))
    await read(message, 'INT64', 1_000_000, (bytes) => reserved.push(bytes)).catch(() => undefined)
    expect(reserved).toEqual([24])
  })
})

test('whatever bytes come, decoding ends with a request or a refusal of ours', async () => {
  const fields = Object.values(contentsFields).flatMap((spec) => (spec === undefined ? [] : [spec.field]))
  const part = fc.oneof(
    fc.uint8Array({ maxLength: 30 }),
    fc
      .tuple(fc.constantFrom(...fields, 9, 15), fc.nat(7), fc.uint8Array({ maxLength: 20 }))
      .map(([field, wire, bytes]) => Uint8Array.of((field << 3) | wire, bytes.byteLength, ...bytes)),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(part, { maxLength: 12 }),
      fc.constantFrom(...(Object.keys(elementBytes) as Datatype[])),
      fc.nat(20),
      async (parts, datatype, elements) => {
        const bytes = Buffer.concat(parts)
        for (const attempt of [async () => decodeInfer(bytes), () => read(bytes, datatype, elements)]) {
          await attempt().catch((error: unknown) => expect(error).toBeInstanceOf(InferProblem))
        }
      },
    ),
    { numRuns: 2000 },
  )
})

test('a request is read as protobufjs reads it', () => {
  const text = fc.string({ maxLength: 20, unit: 'grapheme' })
  const parameters = fc.dictionary(
    text,
    fc.oneof(
      fc.record({ boolParam: fc.boolean() }),
      fc.record({ int64Param: fc.integer() }),
      fc.record({ stringParam: text }),
      fc.record({ doubleParam: fc.double() }),
      fc.record({ uint64Param: fc.nat() }),
    ),
    { maxKeys: 5 },
  )
  const request = fc.record({
    modelName: text,
    modelVersion: text,
    id: text,
    parameters,
    inputs: fc.array(
      fc.record({ name: text, datatype: text, shape: fc.array(fc.maxSafeNat(), { maxLength: 5 }), parameters }),
      { maxLength: 4 },
    ),
    outputs: fc.array(fc.record({ name: text, parameters }), { maxLength: 4 }),
    rawInputContents: fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 4 }),
  })
  fc.assert(
    fc.property(request, (value) => {
      const decoded = decodeInfer(Buffer.from(requestType.encode(requestType.fromObject(value)).finish()))
      const { modelName, modelVersion, id, inputs, outputs, raw } = decoded
      expect({ modelName, modelVersion, id }).toEqual({
        modelName: value.modelName,
        modelVersion: value.modelVersion,
        id: value.id,
      })
      expect(inputs.map(({ name, datatype, shape }) => ({ name, datatype, shape }))).toEqual(
        value.inputs.map(({ name, datatype, shape }) => ({ name, datatype, shape })),
      )
      expect(outputs).toEqual(value.outputs.map(({ name }) => name))
      expect(raw.map((bytes) => [...bytes])).toEqual(value.rawInputContents.map((bytes) => [...bytes]))
    }),
  )
})
