import { isUtf8 } from 'node:buffer'
import { Tensor } from 'onnxruntime-node'
import { type Datatype, datatypeOf, elementBytes } from '../datatype.ts'

/** A value that the client got wrong; the message is for the client. */
export class InvalidValue extends Error {}

/** A value that the runtime cannot carry; the message is for the client. */
export class UnsupportedValue extends Error {}

/**
 * The runtime's tensor over wire bytes, which must start at a multiple of 8 and stay untouched until the run is over. Numbers
 * are used in place; BYTES become strings. Throws InvalidValue or UnsupportedValue.
 */
export function runtimeTensor(name: string, datatype: Datatype, shape: readonly number[], bytes: Uint8Array): Tensor {
  const label = `input ${JSON.stringify(name)}`
  const { buffer, byteOffset, byteLength } = bytes
  const elements = shape.reduce((product, dimension) => product * dimension, 1)
  const size = elementBytes[datatype]
  if (size !== undefined && size * elements !== byteLength)
    throw new InvalidValue(`${label}: data does not fit its shape`)
  switch (datatype) {
    case 'BYTES':
      return new Tensor('string', strings(bytes, elements, label), shape)
    case 'BOOL':
      for (let at = 0; at < byteLength; at++) {
        if ((bytes[at] ?? 0) > 1) throw new InvalidValue(`${label}: a BOOL byte is neither 0 nor 1`)
      }
      return new Tensor('bool', bytes, shape)
    case 'UINT8':
      return new Tensor('uint8', bytes, shape)
    case 'INT8':
      return new Tensor('int8', new Int8Array(buffer, byteOffset, elements), shape)
    case 'INT16':
      return new Tensor('int16', new Int16Array(buffer, byteOffset, elements), shape)
    case 'UINT16':
      return new Tensor('uint16', new Uint16Array(buffer, byteOffset, elements), shape)
    case 'FP16':
      return new Tensor('float16', new Uint16Array(buffer, byteOffset, elements), shape)
    case 'INT32':
      return new Tensor('int32', new Int32Array(buffer, byteOffset, elements), shape)
    case 'UINT32':
      return new Tensor('uint32', new Uint32Array(buffer, byteOffset, elements), shape)
    case 'INT64':
      return new Tensor('int64', new BigInt64Array(buffer, byteOffset, elements), shape)
    case 'UINT64':
      return new Tensor('uint64', new BigUint64Array(buffer, byteOffset, elements), shape)
    case 'FP32':
      return new Tensor('float32', new Float32Array(buffer, byteOffset, elements), shape)
    case 'FP64':
      return new Tensor('float64', new Float64Array(buffer, byteOffset, elements), shape)
    default:
      return datatype satisfies never
  }
}

/** A runtime tensor's datatype and wire bytes; numbers are not copied. */
export function wireBytes(tensor: Tensor): { datatype: Datatype; bytes: Uint8Array } {
  const datatype = datatypeOf(tensor.type)
  if (datatype === undefined) throw new UnsupportedValue(`an output has type ${tensor.type}, which the protocol lacks`)
  const { data } = tensor
  if (!ArrayBuffer.isView(data)) return { datatype, bytes: framed(data.map(String)) }
  return { datatype, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) }
}

function strings(bytes: Uint8Array, elements: number, label: string): string[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const list: string[] = []
  for (let at = 0; at < buffer.byteLength; ) {
    if (buffer.byteLength - at < 4) throw new InvalidValue(`${label}: a length of the BYTES data is cut off`)
    const end = at + 4 + buffer.readUInt32LE(at)
    if (end > buffer.byteLength) throw new InvalidValue(`${label}: a BYTES element reaches past the end of the data`)
    if (list.length >= elements) throw new InvalidValue(`${label}: data has more elements than its shape`)
    const element = buffer.subarray(at + 4, end)
    if (!isUtf8(element))
      throw new UnsupportedValue(`${label}: element ${list.length} is not UTF-8, which the runtime needs`)
    // The runtime's binding takes C strings and would cut the element off there.
    if (element.includes(0)) {
      throw new UnsupportedValue(
        `${label}: element ${list.length} holds a NUL character, which the runtime cannot carry`,
      )
    }
    list.push(element.toString('utf8'))
    at = end
  }
  if (list.length < elements) throw new InvalidValue(`${label}: data has fewer elements than its shape`)
  return list
}

function framed(list: readonly string[]): Uint8Array {
  const bytes = Buffer.allocUnsafe(list.reduce((sum, text) => sum + 4 + Buffer.byteLength(text), 0))
  let at = 0
  for (const text of list) {
    const length = bytes.write(text, at + 4, 'utf8')
    bytes.writeUInt32LE(length, at)
    at += 4 + length
  }
  return bytes
}
