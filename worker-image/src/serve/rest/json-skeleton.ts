import { invalid } from '../problem.ts'

const quote = 0x22
const backslash = 0x5c
const openBracket = 0x5b
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d
const colon = 0x3a

export const maxSkeletonBytes = 1 << 20
const maxDepth = 16
const maxDataDepth = 64
const maxRanges = 256

/** A `data` array inside the body: the offsets of its `[` and of the byte behind its `]`. */
export type Range = { readonly start: number; readonly end: number }

export type Skeleton = {
  /** The body's JSON value in which each array at `inputs[i].data` is replaced by its index into `ranges`. */
  readonly value: unknown
  readonly ranges: readonly Range[]
}

/**
 * Cuts the tensors' data out of an infer body, so that what JSON.parse sees is small and no body, however large, becomes
 * millions of objects. The data is read afterwards by `readTensorData` straight into typed arrays.
 */
export function parseSkeleton(body: Uint8Array): Skeleton {
  const buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  const ranges = findDataRanges(buffer)
  const parts: string[] = []
  let at = 0
  let kept = 0
  for (const [index, range] of ranges.entries()) {
    kept += range.start - at
    if (kept > maxSkeletonBytes) break
    parts.push(buffer.toString('utf8', at, range.start), String(index))
    at = range.end
  }
  kept += buffer.length - at
  if (kept > maxSkeletonBytes) throw invalid(`the JSON outside of tensor data is larger than ${maxSkeletonBytes} bytes`)
  parts.push(buffer.toString('utf8', at))
  try {
    return { value: JSON.parse(parts.join('')), ranges }
  } catch {
    // JSON.parse's own message quotes the body.
    throw invalid('the body is not valid JSON')
  }
}

/** Finds the value of each key `data` of the objects in the root's array `inputs`. */
function findDataRanges(buffer: Buffer): Range[] {
  const ranges: Range[] = []
  const brackets: number[] = []
  let rootKey = ''
  for (let at = 0; at < buffer.length; at++) {
    const byte = buffer[at]
    if (byte === openBrace || byte === openBracket) {
      if (brackets.length >= maxDepth) throw invalid('the JSON is nested too deeply')
      brackets.push(byte)
    } else if (byte === closeBrace || byte === closeBracket) {
      brackets.pop()
    } else if (byte === quote) {
      const end = stringEnd(buffer, at)
      const depth = brackets.length
      const isKeyDepth = depth === 1 || (depth === 3 && rootKey === 'inputs' && brackets[1] === openBracket)
      if (isKeyDepth && brackets[depth - 1] === openBrace) {
        const after = skipSpace(buffer, end)
        if (buffer[after] === colon) {
          const key = end - at <= 32 ? buffer.toString('latin1', at + 1, end - 1) : ''
          if (depth === 1) rootKey = key
          const start = skipSpace(buffer, after + 1)
          if (depth === 3 && key === 'data') {
            if (buffer[start] !== openBracket) throw invalid('"data" of an input must be an array')
            if (ranges.length >= maxRanges) throw invalid(`more than ${maxRanges} inputs`)
            const range = { start, end: arrayEnd(buffer, start) }
            ranges.push(range)
            at = range.end - 1
            continue
          }
        }
      }
      at = end - 1
    }
  }
  return ranges
}

/** The offset behind the closing quote of the string that opens at `at`. */
function stringEnd(buffer: Buffer, at: number): number {
  let end = at
  for (;;) {
    end = buffer.indexOf(quote, end + 1)
    if (end === -1) throw invalid('the body is not valid JSON')
    let slashes = 0
    while (buffer[end - 1 - slashes] === backslash) slashes++
    if (slashes % 2 === 0) return end + 1
  }
}

/** The offset behind the bracket that closes the one at `start`. */
function arrayEnd(buffer: Buffer, start: number): number {
  const close = buffer.indexOf(closeBracket, start)
  if (close === -1) throw invalid('the body is not valid JSON')
  const flat = buffer.subarray(start + 1, close)
  if (!flat.includes(quote) && !flat.includes(openBracket)) return close + 1
  let depth = 0
  for (let at = start; at < buffer.length; at++) {
    const byte = buffer[at]
    if (byte === quote) at = stringEnd(buffer, at) - 1
    else if (byte === openBracket) {
      if (++depth > maxDataDepth) throw invalid('"data" of an input is nested too deeply')
    } else if (byte === closeBracket && --depth === 0) return at + 1
  }
  throw invalid('the body is not valid JSON')
}

function skipSpace(buffer: Buffer, from: number): number {
  let at = from
  for (;;) {
    const byte = buffer[at]
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at
    at++
  }
}
