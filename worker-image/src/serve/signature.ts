import { elementBytes } from './datatype.ts'
import { InferProblem, invalid } from './problem.ts'
import { type Signature, shapeText, type TensorSpec } from './tensor.ts'

export const maxRank = 32

/** Whether a concrete shape fits a model's shape, whose -1 takes any size. */
export function shapeFits(shape: readonly number[], wanted: readonly number[]): boolean {
  return (
    shape.length === wanted.length &&
    shape.every((dimension, axis) => wanted[axis] === -1 || wanted[axis] === dimension)
  )
}

/**
 * Checks what a request says of its inputs against the model: every input once, none unknown, datatype, rank and dimensions
 * right, and at most `maxElements` elements. Returns the specs in the model's order of the given inputs.
 */
export function checkInputs(
  given: readonly { name: string; datatype: string; shape: readonly number[] }[],
  signature: Signature,
  maxElements: number,
): TensorSpec[] {
  const specs = new Map(signature.inputs.map((spec) => [spec.name, spec]))
  const seen = new Set<string>()
  const checked = given.map(({ name, datatype, shape }) => {
    const label = `input ${JSON.stringify(name.slice(0, 128))}`
    const spec = specs.get(name)
    if (spec === undefined) {
      throw invalid(`${label} is not an input of the model, which takes ${names(signature.inputs)}`)
    }
    if (seen.has(name)) throw invalid(`${label} is given twice`)
    seen.add(name)
    if (datatype === 'BF16') {
      throw new InferProblem('Unsupported', `${label}: datatype BF16 is not supported by the runtime`)
    }
    if (datatype !== spec.datatype) throw invalid(`${label}: the model takes datatype ${spec.datatype}`)
    if (shape.length > maxRank) throw invalid(`${label}: more than ${maxRank} dimensions`)
    if (!shapeFits(shape, spec.shape)) {
      throw invalid(`${label}: shape does not fit the model's shape ${shapeText(spec.shape)}`)
    }
    let elements = 1
    for (const dimension of shape) {
      elements *= dimension
      if (dimension !== 0 && elements > maxElements) throw invalid(`${label}: shape has too many elements`)
    }
    return { name, datatype: spec.datatype, shape }
  })
  const missing = signature.inputs.filter((spec) => !seen.has(spec.name))
  if (missing.length > 0) throw invalid(`missing ${missing.length === 1 ? 'input' : 'inputs'} ${names(missing)}`)
  return checked
}

/** Checks the outputs asked for; none asked for means all, in the model's order. */
export function checkOutputs(wanted: readonly string[], signature: Signature): readonly string[] {
  if (wanted.length === 0) return signature.outputs.map((spec) => spec.name)
  const known = new Set(signature.outputs.map((spec) => spec.name))
  const seen = new Set<string>()
  for (const name of wanted) {
    const label = `output ${JSON.stringify(name.slice(0, 128))}`
    if (!known.has(name)) {
      throw invalid(`${label} is not an output of the model, which gives ${names(signature.outputs)}`)
    }
    if (seen.has(name)) throw invalid(`${label} is asked for twice`)
    seen.add(name)
  }
  return wanted
}

/** Bytes that a tensor of this spec must have; undefined for BYTES. */
export function expectedBytes(spec: TensorSpec, elements: number): number | undefined {
  const size = elementBytes[spec.datatype]
  return size === undefined ? undefined : size * elements
}

function names(specs: readonly TensorSpec[]): string {
  const shown = specs.slice(0, 8).map((spec) => JSON.stringify(spec.name.slice(0, 128)))
  return specs.length > shown.length ? `${shown.join(', ')} and ${specs.length - shown.length} more` : shown.join(', ')
}
