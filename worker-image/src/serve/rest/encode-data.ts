import { InferProblem, invalid } from '../problem.ts'
import { contiguous, type Tensor } from '../tensor.ts'

const elementsAtOnce = 8192

/**
 * The tensor's data as a flat JSON array in UTF-8, in pieces. 64-bit integers keep every digit. Throws when JSON cannot carry
 * a value (NaN, Infinity) or the text grows past `maxBytes`.
 */
export function encodeData(tensor: Tensor, maxBytes: number): Uint8Array[] {
  const label = `output ${JSON.stringify(tensor.name)}`
  const pieces: Uint8Array[] = []
  let total = 0
  let separator = '['
  const add = (text: string) => {
    const piece = Buffer.from(separator + text)
    separator = ','
    total += piece.byteLength
    if (total > maxBytes) throw tooLarge(maxBytes)
    pieces.push(piece)
  }
  if (tensor.datatype === 'BYTES') {
    for (const group of stringGroups(tensor)) add(group.join(','))
  } else {
    const values = typedValues(tensor)
    for (let at = 0; at < values.length; at += elementsAtOnce) {
      const part = values.subarray(at, at + elementsAtOnce)
      if (tensor.datatype === 'BOOL') {
        add(part.join(',').replaceAll('0', 'false').replaceAll('1', 'true'))
      } else if (part instanceof Float32Array || part instanceof Float64Array || part instanceof Float16Array) {
        // Twice as fast as join for fractions. It writes null for what JSON has no number for.
        const text = JSON.stringify(Array.from(part)).slice(1, -1)
        if (text.includes('n')) {
          throw invalid(`${label} holds NaN or Infinity, which JSON cannot carry: ask for it with binary_data: true`)
        }
        add(text)
      } else {
        add(part.join(','))
      }
    }
  }
  pieces.push(Buffer.from(pieces.length === 0 ? '[]' : ']'))
  return pieces
}

export function tooLarge(maxBytes: number): InferProblem {
  return new InferProblem(
    'ResponseTooLarge',
    `the response is larger than the ${maxBytes} bytes of the service's limits.responseBytes`,
  )
}

function* stringGroups(tensor: Tensor): Generator<string[]> {
  const bytes = Buffer.from(contiguous(tensor.pieces, tensor.byteLength))
  let group: string[] = []
  for (let at = 0; at + 4 <= bytes.byteLength; ) {
    const end = at + 4 + bytes.readUInt32LE(at)
    group.push(JSON.stringify(bytes.toString('utf8', at + 4, end)))
    at = end
    if (group.length === elementsAtOnce) {
      yield group
      group = []
    }
  }
  if (group.length > 0) yield group
}

function typedValues(tensor: Tensor) {
  const bytes = contiguous(tensor.pieces, tensor.byteLength)
  // A typed array needs its alignment; slices of socket buffers seldom have it.
  const { buffer, byteOffset, byteLength } = bytes.byteOffset % 8 === 0 ? bytes : new Uint8Array(bytes)
  switch (tensor.datatype) {
    case 'BOOL':
    case 'UINT8':
      return new Uint8Array(buffer, byteOffset, byteLength)
    case 'INT8':
      return new Int8Array(buffer, byteOffset, byteLength)
    case 'INT16':
      return new Int16Array(buffer, byteOffset, byteLength / 2)
    case 'UINT16':
      return new Uint16Array(buffer, byteOffset, byteLength / 2)
    case 'INT32':
      return new Int32Array(buffer, byteOffset, byteLength / 4)
    case 'UINT32':
      return new Uint32Array(buffer, byteOffset, byteLength / 4)
    case 'INT64':
      return new BigInt64Array(buffer, byteOffset, byteLength / 8)
    case 'UINT64':
      return new BigUint64Array(buffer, byteOffset, byteLength / 8)
    case 'FP16':
      return new Float16Array(buffer, byteOffset, byteLength / 2)
    case 'FP32':
      return new Float32Array(buffer, byteOffset, byteLength / 4)
    case 'FP64':
      return new Float64Array(buffer, byteOffset, byteLength / 8)
    default:
      throw new TypeError(`no typed array for ${tensor.datatype}`)
  }
}
