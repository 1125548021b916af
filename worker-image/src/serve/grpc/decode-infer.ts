import { invalid } from '../problem.ts'
import { refuseUnsupported } from '../unsupported-parameters.ts'
import { malformed, WireReader } from './wire-reader.ts'

/** Where in the message a field's bytes lie. */
export type Range = { readonly from: number; readonly end: number }

export type InferInput = {
  readonly name: string
  readonly datatype: string
  readonly shape: readonly number[]
  /** InferTensorContents; several are one, merged. */
  readonly contents: readonly Range[]
}

/** A ModelInferRequest whose tensors still lie in the message. */
export type InferMessage = {
  readonly bytes: Buffer
  readonly modelName: string
  readonly modelVersion: string
  readonly id: string
  readonly inputs: readonly InferInput[]
  readonly outputs: readonly string[]
  readonly raw: readonly Uint8Array[]
}

const mostTensors = 256
const mostParameters = 256
const mostDimensions = 64
const mostContents = 16
const mostName = 1024

/**
 * Reads a ModelInferRequest without touching its tensors. Counts and lengths are bounded before anything is kept, so that a
 * message cannot make more of us than a small multiple of itself. `seen` gets the id as soon as it is known, for the answer to
 * a message that is wrong further on. Throws InferProblem.
 */
export function decodeInfer(bytes: Buffer, seen: { id: string } = { id: '' }): InferMessage {
  const reader = new WireReader(bytes)
  let modelName = ''
  let modelVersion = ''
  const inputs: InferInput[] = []
  const outputs: string[] = []
  const raw: Uint8Array[] = []
  const parameters: string[] = []
  while (reader.next()) {
    if (reader.field === 1) modelName = reader.text(mostName, 'model_name')
    else if (reader.field === 2) modelVersion = reader.text(mostName, 'model_version')
    else if (reader.field === 3) seen.id = reader.text(mostName, 'id')
    else if (reader.field === 4) parameters.push(parameter(reader.message(), parameters.length))
    else if (reader.field === 5) push(inputs, input(reader.message(), parameters), 'inputs')
    else if (reader.field === 6) push(outputs, output(reader.message(), parameters), 'outputs')
    else if (reader.field === 7) push(raw, reader.view(), 'raw_input_contents')
    else reader.skip()
  }
  refuseUnsupported(parameters)
  return { bytes, modelName, modelVersion, id: seen.id, inputs, outputs, raw }
}

function push<T>(list: T[], item: T, what: string): void {
  if (list.length >= mostTensors) throw invalid(`the request has more than ${mostTensors} ${what}`)
  list.push(item)
}

function input(reader: WireReader, parameters: string[]): InferInput {
  let name = ''
  let datatype = ''
  const shape: number[] = []
  const contents: Range[] = []
  while (reader.next()) {
    if (reader.field === 1) name = reader.text(mostName, 'the name of an input')
    else if (reader.field === 2) datatype = reader.text(mostName, 'a datatype')
    else if (reader.field === 3) dimensions(reader, shape)
    else if (reader.field === 4) parameters.push(parameter(reader.message(), parameters.length))
    else if (reader.field === 5) {
      if (contents.length >= mostContents) throw malformed('has the contents of an input in too many parts')
      const end = reader.delimited()
      contents.push({ from: reader.at, end })
      reader.at = end
    } else reader.skip()
  }
  const label = `input ${JSON.stringify(name.slice(0, 128))}`
  if (shape.some((dimension) => dimension < 0)) throw invalid(`${label}: shape has a negative dimension`)
  if (!shape.every(Number.isSafeInteger)) throw invalid(`${label}: shape has too many elements`)
  return { name, datatype, shape, contents }
}

/** int64, packed or one by one; a negative one becomes -1. */
function dimensions(reader: WireReader, shape: number[]): void {
  const add = (from: WireReader) => {
    from.varint()
    if (shape.length >= mostDimensions) throw invalid(`a shape has more than ${mostDimensions} dimensions`)
    shape.push(from.high >= 2 ** 31 ? -1 : from.high * 2 ** 32 + from.low)
  }
  if (reader.wire === 0) {
    add(reader)
    return
  }
  const packed = reader.message()
  while (packed.at < packed.end) add(packed)
}

function output(reader: WireReader, parameters: string[]): string {
  let name = ''
  while (reader.next()) {
    if (reader.field === 1) name = reader.text(mostName, 'the name of an output')
    else if (reader.field === 2) parameters.push(parameter(reader.message(), parameters.length))
    else reader.skip()
  }
  return name
}

/** An entry of map<string, InferParameter>: its name. Values are checked for their form; none means anything here. */
function parameter(entry: WireReader, before: number): string {
  if (before >= mostParameters) throw invalid(`the request has more than ${mostParameters} parameters`)
  let name = ''
  while (entry.next()) {
    if (entry.field === 1) name = entry.text(256, 'the name of a parameter')
    else if (entry.field === 2) {
      const value = entry.message()
      while (value.next()) {
        if (value.field === 3) value.text(4096, 'a parameter')
        else {
          const wire = parameterWires[value.field]
          if (wire !== undefined) value.expect(wire)
          value.skip()
        }
      }
    } else entry.skip()
  }
  return name
}

/** bool, int64, double, uint64 by field number; the string is apart. */
const parameterWires: Readonly<Record<number, number>> = { 1: 0, 2: 0, 4: 1, 5: 0 }
