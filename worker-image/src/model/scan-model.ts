import { isUtf8 } from 'node:buffer'
import type { ByteSource } from './byte-source.ts'
import type { Field } from './field.ts'
import { enums, messages } from './generated/onnx-fields.ts'
import type { ModelLimits } from './limits.ts'
import { ModelRefused } from './model-refused.ts'
import { SlimWriter } from './slim-writer.ts'
import { isDataField, type TensorSummary, writeSummary } from './tensor-summary.ts'
import { WireError, WireReader } from './wire-reader.ts'

const docStringField = 12
/** Tensors up to this many bytes keep their data: shapes and other small constants that the checks look into. */
const keptDataBytes = 1024
const keptValueBytes = 4096
const keptInts = 64

type Place = { name: string; index: number }

/**
 * Walks the wire format of a ModelProto before anything decodes it and returns a slim copy for the generated decoder: the
 * same messages without weights, doc strings and notes, each tensor's `doc_string` replaced by its `TensorSummary`.
 * Throws `ModelRefused` for what readers may take in different ways: a singular field twice, a wrong wire type, an overlong
 * or cut number, text that is not UTF-8, a group; and for counts beyond `limits`.
 */
export function scanModel(source: ByteSource, limits: ModelLimits, file: string): Uint8Array {
  if (source.size > limits.protobufBytes) {
    throw new ModelRefused('TooLarge', `the ONNX file is larger than ${limits.protobufBytes} bytes`, { file })
  }
  return new Scan(source, limits, file).run()
}

class Scan {
  readonly #reader: WireReader
  readonly #writer = new SlimWriter()
  readonly #size: number
  readonly #limits: ModelLimits
  readonly #file: string
  readonly #place: Place[] = []
  #messages = 0
  #nodes = 0
  #tensors = 0
  #kept = 0

  constructor(source: ByteSource, limits: ModelLimits, file: string) {
    this.#reader = new WireReader(source)
    this.#size = source.size
    this.#limits = limits
    this.#file = file
  }

  run(): Uint8Array {
    try {
      this.#message('ModelProto', this.#size, true)
    } catch (error) {
      if (error instanceof WireError) throw this.#refused('NotONNX', error.message)
      throw error
    }
    return this.#writer.finish()
  }

  #refused(reason: 'NotONNX' | 'DuplicateField' | 'TooLarge', message: string): ModelRefused {
    const place = this.#place.map(({ name, index }) => `${name}${index < 0 ? '' : `[${index}]`}`).join('.')
    return new ModelRefused(reason, `${place === '' ? 'the file' : place}: ${message}`, { file: this.#file })
  }

  #message(type: string, end: number, keep: boolean): void {
    this.#messages += 1
    if (this.#messages > this.#limits.messages) throw this.#refused('TooLarge', 'more messages than allowed')
    if (type === 'NodeProto') this.#nodes += 1
    if (this.#nodes > this.#limits.nodes) throw this.#refused('TooLarge', `more than ${this.#limits.nodes} nodes`)
    if (type === 'TensorProto') this.#tensors += 1
    if (this.#tensors > this.#limits.tensors)
      throw this.#refused('TooLarge', `more than ${this.#limits.tensors} tensors`)
    if (this.#place.length > this.#limits.depth) {
      throw this.#refused('TooLarge', `messages are nested more than ${this.#limits.depth} deep`)
    }
    const fields = messages[type] ?? {}
    const summary: TensorSummary | undefined = type === 'TensorProto' ? {} : undefined
    const indexes: Record<number, number> = {}
    let seen = 0
    let oneof: string | undefined
    while (this.#reader.position < end) {
      const tag = this.#reader.small(end)
      const id = Math.floor(tag / 8)
      const wire = tag & 7
      const field = fields[id]
      if (field === undefined) {
        this.#skipUnknown(id, wire, end)
        continue
      }
      const index = field.repeated ? (indexes[id] ?? 0) : -1
      this.#place.push({ name: field.name, index })
      if (field.repeated) {
        indexes[id] = index + 1
      } else {
        // Field numbers of the schema are below 31, so that one number remembers which were seen.
        if ((seen & (1 << id)) !== 0) throw this.#refused('DuplicateField', 'a singular field stands there twice')
        seen |= 1 << id
      }
      if (field.oneof !== undefined) {
        if (oneof !== undefined) throw this.#refused('DuplicateField', `stands there beside ${oneof}: only one may`)
        oneof = field.name
      }
      this.#field(type, field, id, wire, end, keep, index, summary)
      this.#place.pop()
    }
    if (summary !== undefined && keep) this.#writeDelimited(docStringField, writeSummary(summary))
  }

  #field(
    type: string,
    field: Field,
    id: number,
    wire: number,
    end: number,
    keep: boolean,
    index: number,
    summary: TensorSummary | undefined,
  ): void {
    if (field.message !== undefined) {
      this.#expect(wire === 2)
      const innerEnd = this.#reader.delimitedEnd(end)
      const kept = keep && (field.name !== 'metadataProps' || type === 'ModelProto')
      const mark = kept ? this.#open(id) : 0
      this.#message(field.message, innerEnd, kept)
      if (kept) this.#writer.close(mark)
    } else if (field.scalar === 'string' || field.scalar === 'bytes') {
      this.#expect(wire === 2)
      const innerEnd = this.#reader.delimitedEnd(end)
      if (summary !== undefined && isDataField(field.name)) {
        this.#tensorBytes(field, id, innerEnd, keep, summary)
      } else {
        this.#text(type, field, id, innerEnd, keep)
      }
    } else {
      this.#numbers(type, field, id, wire, end, keep, index, summary)
    }
  }

  #text(type: string, field: Field, id: number, end: number, keep: boolean): void {
    const length = end - this.#reader.position
    const dropped =
      !keep ||
      field.name === 'docString' ||
      (type === 'AttributeProto' && field.name === 'strings') ||
      (field.scalar === 'bytes' && length > keptValueBytes) ||
      (type === 'StringStringEntryProto' && field.name === 'value' && length > keptValueBytes)
    if (dropped) {
      this.#reader.skipTo(end, end)
      return
    }
    if (length > this.#limits.stringBytes) {
      throw this.#refused('TooLarge', `is longer than ${this.#limits.stringBytes} bytes`)
    }
    const bytes = this.#reader.bytes(length, end)
    if (field.scalar === 'string') {
      if (!isUtf8(bytes)) throw this.#refused('NotONNX', 'is not UTF-8')
      if (bytes.includes(0)) throw this.#refused('NotONNX', 'holds a NUL character')
    }
    this.#writeDelimited(id, bytes)
  }

  #tensorBytes(field: Field, id: number, end: number, keep: boolean, summary: TensorSummary): void {
    const length = end - this.#reader.position
    if (field.name === 'rawData') {
      summary.rawData = length
      if (keep && length <= keptDataBytes) {
        this.#writeDelimited(id, this.#reader.bytes(length, end))
        return
      }
    } else {
      summary.stringData = (summary.stringData ?? 0) + 1
    }
    this.#reader.skipTo(end, end)
  }

  #numbers(
    type: string,
    field: Field,
    id: number,
    wire: number,
    end: number,
    keep: boolean,
    index: number,
    summary: TensorSummary | undefined,
  ): void {
    const width = field.scalar === 'float' ? 4 : field.scalar === 'double' ? 8 : 0
    const single = width === 4 ? 5 : width === 8 ? 1 : 0
    this.#expect(wire === single || (wire === 2 && field.repeated))
    const innerEnd = wire === 2 ? this.#reader.delimitedEnd(end) : end
    let count = 0
    if (width > 0) {
      const length = wire === 2 ? innerEnd - this.#reader.position : width
      if (length % width !== 0) throw this.#refused('NotONNX', 'holds a part of a number')
      count = length / width
      // Fixed-width numbers mean nothing to the checks, and a slim copy without them is valid too.
      this.#reader.skipTo(this.#reader.position + length, innerEnd)
    } else {
      const before = this.#countBefore(field, index, summary)
      do {
        if (wire === 2 && this.#reader.position >= innerEnd) break
        const value = this.#reader.varint(innerEnd)
        this.#checkNumber(field, value)
        if (keep && this.#keepsNumber(type, field, before + count)) {
          this.#tag(id, 0)
          this.#writer.varint(value)
        }
        count += 1
      } while (wire === 2)
    }
    if (summary !== undefined && isDataField(field.name)) summary[field.name] = (summary[field.name] ?? 0) + count
  }

  #countBefore(field: Field, index: number, summary: TensorSummary | undefined): number {
    if (summary !== undefined && isDataField(field.name)) return summary[field.name] ?? 0
    return Math.max(index, 0)
  }

  #keepsNumber(type: string, field: Field, index: number): boolean {
    if (type === 'TensorProto' && isDataField(field.name)) return field.name === 'int64Data' && index < keptInts
    if (type === 'AttributeProto' && field.name === 'ints') return index < keptInts
    return true
  }

  #checkNumber(field: Field, value: bigint): void {
    if (field.scalar !== 'int32' && field.enum === undefined) return
    const number = BigInt.asIntN(64, value)
    if (number < -(2n ** 31n) || number >= 2n ** 31n) throw this.#refused('NotONNX', 'is not a 32-bit number')
    if (field.enum !== undefined && !(enums[field.enum] ?? []).includes(Number(number))) {
      throw this.#refused('NotONNX', `is ${number}, which is not in the schema`)
    }
  }

  #skipUnknown(id: number, wire: number, end: number): void {
    if (id === 0) throw new WireError('field number 0')
    if (wire === 0) this.#reader.varint(end)
    else if (wire === 1) this.#reader.skipTo(this.#reader.position + 8, end)
    else if (wire === 5) this.#reader.skipTo(this.#reader.position + 4, end)
    else if (wire === 2) this.#reader.skipTo(this.#reader.delimitedEnd(end), end)
    else throw new WireError(`wire type ${wire}, which ONNX never uses`)
  }

  #expect(matches: boolean): void {
    if (!matches) throw this.#refused('NotONNX', 'has another wire type than in the schema')
  }

  #writeDelimited(id: number, bytes: Uint8Array): void {
    this.#tag(id, 2)
    this.#writer.small(bytes.length)
    this.#writer.bytes(bytes)
  }

  #open(id: number): number {
    this.#tag(id, 2)
    return this.#writer.open()
  }

  #tag(id: number, wire: number): void {
    this.#kept += 1
    if (this.#kept > this.#limits.keptFields || this.#writer.length > this.#limits.keptBytes) {
      throw this.#refused('TooLarge', 'too many names, dimensions and other small values in the file')
    }
    this.#writer.small(id * 8 + wire)
  }
}
