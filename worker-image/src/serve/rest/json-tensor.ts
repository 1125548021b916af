import type { Datatype } from '../datatype.ts'
import { invalid } from '../problem.ts'
import { type ElementStore, elementStore } from './json-elements.ts'
import type { Range } from './json-skeleton.ts'

const comma = 0x2c
const openBracket = 0x5b
const closeBracket = 0x5d

/**
 * Reads a JSON array, flat or nested as `shape` says, into a tensor's wire bytes. Numbers out of the datatype's range are
 * refused, never wrapped; 64-bit integers are exact. Messages name the input and the element's place, not its value.
 */
export function readTensorData(
  buffer: Buffer,
  range: Range,
  input: { readonly name: string; readonly datatype: Datatype; readonly shape: readonly number[] },
  elements: number,
): Uint8Array {
  const label = `input ${JSON.stringify(input.name)}`
  // An element takes a byte at least and a comma, so a body cannot make us reserve much more than its own size.
  if (elements > (range.end - range.start) / 2) throw invalid(`${label}: data has fewer elements than its shape`)
  const store = elementStore(buffer, range, input.datatype, elements)
  const count = walk(buffer, range, input.shape, elements, label, store.put)
  if (count !== elements) throw invalid(`${label}: data has fewer elements than its shape`)
  return store.bytes()
}

function walk(
  buffer: Buffer,
  range: Range,
  shape: readonly number[],
  elements: number,
  label: string,
  put: ElementStore['put'],
): number {
  const rank = shape.length
  const counts = new Array<number>(rank + 2).fill(0)
  let depth = 0
  let nested = false
  let count = 0
  let at = range.start
  /** Right behind `[`: a value or the end. Behind a comma: a value. Behind a value: a comma or the end. */
  let state: 'open' | 'comma' | 'value' = 'comma'
  for (;;) {
    let byte = buffer[at]
    while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = buffer[++at]
    if (byte === comma && state === 'value') {
      state = 'comma'
      at++
    } else if (byte === closeBracket && state !== 'comma') {
      if (nested && counts[depth] !== shape[depth - 1]) throw invalid(`${label}: nested data does not have its shape`)
      depth--
      at++
      if (depth === 0) return count
      counts[depth] = (counts[depth] ?? 0) + 1
      state = 'value'
    } else if (state === 'value' || byte === undefined) {
      throw invalid(`${label}: data is not valid JSON`)
    } else if (byte === openBracket) {
      depth++
      if (depth > 1) {
        if (depth > rank || (!nested && count > 0)) throw invalid(`${label}: nested data does not have its shape`)
        nested = true
      }
      counts[depth] = 0
      state = 'open'
      at++
    } else {
      if (nested && depth !== rank) throw invalid(`${label}: nested data does not have its shape`)
      if (count >= elements) throw invalid(`${label}: data has more elements than its shape`)
      const end = put(at, count)
      if (typeof end === 'string') throw invalid(`${label}: element ${count} ${end}`)
      at = end
      count++
      counts[depth] = (counts[depth] ?? 0) + 1
      state = 'value'
    }
  }
}
