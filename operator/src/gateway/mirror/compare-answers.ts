import type { Answer } from './answer-copy.ts'
import { decodeOutputs, type Output, type Value } from './decode-outputs.ts'

/** `incomparable`: the first answer is not one of the Open Inference Protocol that can be read here. */
export type Verdict = 'same' | 'different' | 'incomparable'

/**
 * Compares two answers to one inference request: names, datatypes and shapes exactly, numbers a and b where
 * |a - b| <= tolerance * max(1, |a|), NaN with NaN, everything else exactly. What else the answers say (model version, id, parameters)
 * does not matter.
 */
export function compareAnswers(ours: Answer, theirs: Answer, tolerance: number): Verdict {
  const expected = decodeOutputs(ours)
  if (expected === undefined) return 'incomparable'
  const actual = decodeOutputs(theirs)
  if (actual === undefined || actual.size !== expected.size) return 'different'
  for (const [name, output] of expected) {
    const other = actual.get(name)
    if (other === undefined || !sameOutput(output, other, tolerance)) return 'different'
  }
  return 'same'
}

function sameOutput(a: Output, b: Output, tolerance: number): boolean {
  if (a.datatype !== b.datatype || a.shape.length !== b.shape.length || a.data.length !== b.data.length) return false
  if (a.shape.some((size, i) => size !== b.shape[i])) return false
  for (let i = 0; i < a.data.length; i += 1) if (!sameValue(a.data[i], b.data[i], tolerance)) return false
  return true
}

function sameValue(a: Value | undefined, b: Value | undefined, tolerance: number): boolean {
  if (a === b) return true
  if (!isNumber(a) || !isNumber(b)) return false
  const [x, y] = [Number(a), Number(b)]
  if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) && Number.isNaN(y)
  // Infinities that are not equal differ by more than any tolerance, though both sides of the inequality are infinite.
  if (!Number.isFinite(x) || !Number.isFinite(y)) return false
  return Math.abs(x - y) <= tolerance * Math.max(1, Math.abs(x))
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}
