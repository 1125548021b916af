import { isUtf8 } from 'node:buffer'
import { invalid } from '../problem.ts'
import { checkInputs, checkOutputs } from '../signature.ts'
import { elementCount, type Signature, type TensorSpec } from '../tensor.ts'
import { refuseUnsupported } from '../unsupported-parameters.ts'
import { type InferBody, inferBodySchema, type Parameters } from './infer-body.ts'
import { parseSkeleton } from './json-skeleton.ts'
import { readTensorData } from './json-tensor.ts'

/** An input as the JSON gives it: its bytes already, or how many binary bytes follow the JSON. */
export type JsonInput = TensorSpec & { readonly data: Uint8Array | undefined; readonly binaryBytes: number }

/** An output that was asked for and whether its data goes out binary. */
export type OutputForm = { readonly name: string; readonly binary: boolean }

/** The JSON part of an infer request, checked against the model. */
export type JsonRequest = {
  readonly id: string | undefined
  readonly inputs: readonly JsonInput[]
  readonly outputs: readonly OutputForm[]
}

/**
 * Decodes and checks the JSON of an infer request. Pure and free of shared state: it runs on the main thread for small bodies
 * and in a codec thread for large ones. Throws InferProblem.
 */
export function decodeJson(json: Uint8Array, signature: Signature, maxElements: number): JsonRequest {
  if (!isUtf8(json)) throw invalid('the body is not UTF-8')
  const { value, ranges } = parseSkeleton(json)
  const parsed = inferBodySchema.safeParse(value)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw invalid(
      `the body is not an inference request: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`,
    )
  }
  const body = parsed.data
  refuseUnsupportedIn(body)
  const specs = checkInputs(body.inputs, signature, maxElements)
  const buffer = Buffer.from(json.buffer, json.byteOffset, json.byteLength)
  const inputs = body.inputs.map((input, index): JsonInput => {
    const label = `input ${JSON.stringify(input.name)}`
    const spec = specs[index]
    const binaryBytes = sizeParameter(input.parameters, label)
    if (spec === undefined) throw invalid(`${label} is unknown`)
    if (binaryBytes !== undefined) {
      if (input.data !== undefined) throw invalid(`${label} has both data and binary_data_size`)
      return { ...spec, data: undefined, binaryBytes }
    }
    const range = input.data === undefined ? undefined : ranges[input.data]
    if (range === undefined) throw invalid(`${label} has neither data nor binary_data_size`)
    return { ...spec, data: readTensorData(buffer, range, spec, elementCount(spec.shape)), binaryBytes: 0 }
  })
  const names = checkOutputs(body.outputs?.map((output) => output.name) ?? [], signature)
  const byDefault = flag(body.parameters, 'binary_data_output') ?? false
  const forms = new Map(body.outputs?.map((output) => [output.name, flag(output.parameters, 'binary_data')]))
  const outputs = names.map((name) => ({ name, binary: forms.get(name) ?? byDefault }))
  return { id: body.id, inputs, outputs }
}

function refuseUnsupportedIn(body: InferBody): void {
  for (const { parameters } of [body, ...body.inputs, ...(body.outputs ?? [])]) {
    refuseUnsupported(Object.keys(parameters ?? {}))
  }
}

function sizeParameter(parameters: Parameters, label: string): number | undefined {
  const size = parameters?.binary_data_size
  if (size === undefined) return undefined
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw invalid(`${label}: binary_data_size must be a whole number of bytes`)
  }
  return size
}

function flag(parameters: Parameters, name: string): boolean | undefined {
  const value = parameters?.[name]
  if (value === undefined || typeof value === 'boolean') return value
  throw invalid(`parameter ${name} must be true or false`)
}
