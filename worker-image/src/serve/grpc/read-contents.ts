import { type Datatype, elementBytes } from '../datatype.ts'
import { invalid } from '../problem.ts'
import { contentsFields, lastContentsField } from './contents-field.ts'
import type { Range } from './decode-infer.ts'
import { WireReader } from './wire-reader.ts'

/** Bytes of the message that are read before other work gets a turn. */
const sliceBytes = 128 << 10

type Source = {
  readonly message: Buffer
  readonly contents: readonly Range[]
  readonly label: string
  readonly datatype: Datatype
  readonly elements: number
}

/**
 * Turns InferTensorContents into a tensor's wire bytes. Elements are counted first and compared with the shape, so that
 * memory is reserved only for what is there; integers out of the datatype's range are refused, never wrapped. `reserve` is
 * told of the bytes before they are allocated. Run it with `inSlices`.
 */
export function* readContents(source: Source, reserve: (bytes: number) => void): Generator<void, Uint8Array> {
  const { label, datatype, elements } = source
  const { count, payload } = yield* measure(source)
  if (count !== elements)
    throw invalid(`${label}: data has ${count < elements ? 'fewer' : 'more'} elements than its shape`)
  const size = elementBytes[datatype]
  const byteLength = size === undefined ? payload + 4 * count : size * count
  reserve(byteLength)
  const out = Buffer.allocUnsafeSlow(byteLength)
  yield* fill(source, out)
  return out
}

/** Counts elements, and the bytes of BYTES elements; refuses values in a field of another datatype. */
function* measure(source: Source): Generator<void, { count: number; payload: number }> {
  const spec = contentsFields[source.datatype]
  let count = 0
  let payload = 0
  const turnDue = pacer()
  for (const reader of fields(source)) {
    if (turnDue(reader)) yield
    if (reader.field !== spec?.field) {
      if (
        reader.field > lastContentsField ||
        (reader.wire === 2 && reader.bytes[reader.at] === 0 && reader.field < 8)
      ) {
        reader.skip()
        continue
      }
      const wanted = spec === undefined ? 'raw_input_contents' : spec.name
      throw invalid(`${source.label}: ${source.datatype} belongs into ${wanted}`)
    }
    if (spec.form === 'bytes') {
      const end = reader.delimited()
      payload += end - reader.at
      count++
      reader.at = end
    } else if (spec.form === 'fixed') {
      const size = elementBytes[source.datatype] ?? 4
      const bytes = reader.wire === 2 ? reader.delimited() - reader.at : size
      if (reader.wire !== 2) reader.expect(size === 4 ? 5 : 1)
      if (bytes % size !== 0 || reader.at + bytes > reader.end) {
        throw invalid(`${source.label}: ${spec.name} ends in the middle of an element`)
      }
      count += bytes / size
      reader.at += bytes
    } else if (reader.wire === 2) {
      const end = reader.delimited()
      while (reader.at < end) {
        const until = Math.min(end, reader.at + sliceBytes)
        for (let at = reader.at; at < until; at++) if ((reader.bytes[at] ?? 0) < 0x80) count++
        reader.at = until
        if (until < end) yield
      }
    } else {
      reader.expect(0)
      reader.varint()
      count++
    }
    // Stops a message of a million tiny fields before it is walked through a second time.
    if (count > source.elements) break
  }
  return { count, payload }
}

function* fill(source: Source, out: Buffer): Generator<void> {
  const spec = contentsFields[source.datatype]
  if (spec === undefined) return
  const put = elementWriter(source, out)
  let index = 0
  let written = 0
  const turnDue = pacer()
  for (const reader of fields(source)) {
    if (turnDue(reader)) yield
    if (reader.field !== spec.field) {
      reader.skip()
    } else if (spec.form === 'varint') {
      const packed = reader.wire === 2 ? reader.message() : undefined
      if (packed === undefined) {
        reader.varint()
        put(reader, index++)
        continue
      }
      for (let next = packed.at + sliceBytes; packed.at < packed.end; ) {
        packed.varint()
        put(packed, index++)
        if (packed.at < next) continue
        next = packed.at + sliceBytes
        yield
      }
    } else if (spec.form === 'fixed') {
      // Little-endian in the message as on our side: a copy.
      const end = reader.wire === 2 ? reader.delimited() : reader.at + (elementBytes[source.datatype] ?? 4)
      written += reader.bytes.copy(out, written, reader.at, end)
      reader.at = end
    } else {
      const element = reader.view()
      written = out.writeUInt32LE(element.byteLength, written)
      out.set(element, written)
      written += element.byteLength
    }
  }
}

/** Each field of the contents in turn; the consumer reads or skips its value. */
function* fields({ message, contents }: Source): Generator<WireReader> {
  for (const { from, end } of contents) {
    const reader = new WireReader(message, from, end)
    while (reader.next()) yield reader
  }
}

/** True once in a slice, however the bytes are cut into fields. */
function pacer(): (reader: WireReader) => boolean {
  let since = 0
  return ({ at }) => {
    if (at - since < sliceBytes) return false
    since = at
    return true
  }
}

const bounds = {
  INT8: [-128, 127],
  INT16: [-32_768, 32_767],
  INT32: [-2_147_483_648, 2_147_483_647],
  UINT8: [0, 255],
  UINT16: [0, 65_535],
  UINT32: [0, 4_294_967_295],
} as const

/** Stores the varint that a reader holds as element `index`. */
function elementWriter({ datatype, label }: Source, out: Buffer): (from: WireReader, index: number) => void {
  const { buffer, byteOffset } = out
  const count = out.byteLength / (elementBytes[datatype] ?? 1)
  const outOfRange = (index: number) => invalid(`${label}: element ${index} is out of the range of the datatype`)
  const integers = (store: { [index: number]: number }, signed: boolean, [least, most]: readonly [number, number]) => {
    return ({ low, high }: WireReader, index: number) => {
      const value = signed ? low | 0 : low
      // int32 goes out sign-extended to 64 bits; some write a negative one in 32.
      const fits = high === 0 || (signed && high === 0xffffffff && value < 0)
      if (!fits || value < least || value > most) throw outOfRange(index)
      store[index] = value
    }
  }
  switch (datatype) {
    case 'BOOL':
      return ({ low, high }, index) => {
        out[index] = low === 0 && high === 0 ? 0 : 1
      }
    case 'INT8':
      return integers(new Int8Array(buffer, byteOffset, count), true, bounds.INT8)
    case 'INT16':
      return integers(new Int16Array(buffer, byteOffset, count), true, bounds.INT16)
    case 'INT32':
      return integers(new Int32Array(buffer, byteOffset, count), true, bounds.INT32)
    case 'UINT8':
      return integers(out, false, bounds.UINT8)
    case 'UINT16':
      return integers(new Uint16Array(buffer, byteOffset, count), false, bounds.UINT16)
    case 'UINT32':
      return integers(new Uint32Array(buffer, byteOffset, count), false, bounds.UINT32)
    case 'INT64':
    case 'UINT64': {
      const halves = new Uint32Array(buffer, byteOffset, 2 * count)
      return ({ low, high }, index) => {
        halves[2 * index] = low
        halves[2 * index + 1] = high
      }
    }
    case 'FP16':
    case 'FP32':
    case 'FP64':
    case 'BYTES':
      return () => undefined
    default:
      return datatype satisfies never
  }
}
