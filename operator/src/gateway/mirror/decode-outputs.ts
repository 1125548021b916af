import type { Answer } from './answer-copy.ts'

export type Value = number | bigint | string | boolean | null
export type Output = { datatype: string; shape: readonly number[]; data: ArrayLike<Value> }

const maxOutputs = 1024

/**
 * Reads the outputs of an answer of the Open Inference Protocol, as JSON or with binary tensors, by name; undefined for anything
 * else.
 */
export function decodeOutputs({ headers, body }: Answer): Map<string, Output> | undefined {
  if (headers['content-encoding'] !== undefined) return undefined
  const length = headers['inference-header-content-length']
  if (length !== undefined && !/^\d{1,9}$/.test(length)) return undefined
  const jsonBytes = length === undefined ? body.length : Number(length)
  if (jsonBytes > body.length) return undefined
  try {
    const { outputs } = JSON.parse(body.toString('utf8', 0, jsonBytes))
    if (!Array.isArray(outputs) || outputs.length > maxOutputs) return undefined
    return readOutputs(outputs, body.subarray(jsonBytes))
  } catch {
    return undefined // not JSON, or not of the form that is read here
  }
}

function readOutputs(outputs: unknown[], binary: Buffer): Map<string, Output> | undefined {
  const found = new Map<string, Output>()
  let at = 0
  for (const output of outputs) {
    if (!isRecord(output)) return undefined
    const { name, datatype, shape, data, parameters } = output
    if (typeof name !== 'string' || typeof datatype !== 'string' || !Array.isArray(shape) || found.has(name)) {
      return undefined
    }
    const size = isRecord(parameters) ? parameters.binary_data_size : undefined
    if (size === undefined) {
      if (!Array.isArray(data)) return undefined
      found.set(name, { datatype, shape, data: flatten(data) })
      continue
    }
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 0 || at + size > binary.length) return undefined
    const decoded = decodeBinary(datatype, binary.subarray(at, at + size))
    if (decoded === undefined) return undefined
    found.set(name, { datatype, shape, data: decoded })
    at += size
  }
  return at === binary.length ? found : undefined
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** The values of nested arrays in row-major order. */
function flatten(data: unknown[]): Value[] {
  const values: Value[] = []
  const stack: { list: unknown[]; next: number }[] = [{ list: data, next: 0 }]
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const value = top.list[top.next]
    if (top.next >= top.list.length) stack.pop()
    else if (Array.isArray(value)) stack.push({ list: value, next: 0 })
    // JSON has no other leaves but objects, which no tensor holds; they equal nothing.
    else values.push(value as Value)
    top.next += 1
  }
  return values
}

type Fixed = { bytes: number; read: (view: DataView, at: number) => Value }

const fixed = new Map<string, Fixed>([
  ['BOOL', { bytes: 1, read: (view, at) => view.getUint8(at) !== 0 }],
  ['UINT8', { bytes: 1, read: (view, at) => view.getUint8(at) }],
  ['INT8', { bytes: 1, read: (view, at) => view.getInt8(at) }],
  ['UINT16', { bytes: 2, read: (view, at) => view.getUint16(at, true) }],
  ['INT16', { bytes: 2, read: (view, at) => view.getInt16(at, true) }],
  ['UINT32', { bytes: 4, read: (view, at) => view.getUint32(at, true) }],
  ['INT32', { bytes: 4, read: (view, at) => view.getInt32(at, true) }],
  ['UINT64', { bytes: 8, read: (view, at) => view.getBigUint64(at, true) }],
  ['INT64', { bytes: 8, read: (view, at) => view.getBigInt64(at, true) }],
  ['FP16', { bytes: 2, read: (view, at) => half(view.getUint16(at, true)) }],
  ['BF16', { bytes: 2, read: (view, at) => bfloat(view.getUint16(at, true)) }],
  ['FP32', { bytes: 4, read: (view, at) => view.getFloat32(at, true) }],
  ['FP64', { bytes: 8, read: (view, at) => view.getFloat64(at, true) }],
])

function decodeBinary(datatype: string, bytes: Buffer): Value[] | undefined {
  if (datatype === 'BYTES') return decodeStrings(bytes)
  const kind = fixed.get(datatype)
  if (kind === undefined || bytes.length % kind.bytes !== 0) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return Array.from({ length: bytes.length / kind.bytes }, (_, i) => kind.read(view, i * kind.bytes))
}

/** Each element is its length, four bytes little endian, and its bytes; read one character a byte, so that any bytes compare. */
function decodeStrings(bytes: Buffer): string[] | undefined {
  const values: string[] = []
  for (let at = 0; at < bytes.length; ) {
    if (at + 4 > bytes.length) return undefined
    const end = at + 4 + bytes.readUInt32LE(at)
    if (end > bytes.length) return undefined
    values.push(bytes.toString('latin1', at + 4, end))
    at = end
  }
  return values
}

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

const word = new DataView(new ArrayBuffer(4))

function bfloat(bits: number): number {
  word.setUint16(0, bits)
  word.setUint16(2, 0)
  return word.getFloat32(0)
}
