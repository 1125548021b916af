import { InferProblem, invalid } from '../problem.ts'
import { expectedBytes } from '../signature.ts'
import { contiguous, elementCount, type InferRequest, type Signature, type Tensor } from '../tensor.ts'
import type { Codec } from './codec.ts'
import type { JsonRequest, OutputForm } from './decode-json.ts'
import { slicePieces } from './slice-pieces.ts'

export type Body = { readonly pieces: readonly Uint8Array[]; readonly byteLength: number }

/** A REST request as the scheduler takes it, with what the answer needs from it. */
export type DecodedRequest = {
  readonly id: string | undefined
  readonly request: InferRequest
  readonly forms: readonly OutputForm[]
}

/**
 * Decodes an infer body: JSON alone, or JSON of `jsonLength` bytes (the header Inference-Header-Content-Length) followed by
 * the binary tensors in the order of the inputs. Binary data stays in the pieces in which it came.
 */
export async function decodeRequest(
  body: Body,
  jsonLength: number | undefined,
  signature: Signature,
  codec: Codec,
  signal: AbortSignal,
): Promise<DecodedRequest> {
  if (jsonLength === 0) return rawRequest(body, signature)
  const headerLength = jsonLength ?? body.byteLength
  if (headerLength > body.byteLength) throw invalid('Inference-Header-Content-Length is larger than the body')
  const json = contiguous(slicePieces(body.pieces, 0, headerLength), headerLength)
  const decoded = await codec.decode(json, signal)
  const inputs = attachBinary(decoded, body, headerLength, jsonLength !== undefined)
  const request = { inputs, outputs: decoded.outputs.map((output) => output.name) }
  return { id: decoded.id, request, forms: decoded.outputs }
}

function attachBinary(decoded: JsonRequest, body: Body, from: number, allowed: boolean): Tensor[] {
  let at = from
  const inputs = decoded.inputs.map(({ name, datatype, shape, data, binaryBytes }): Tensor => {
    const label = `input ${JSON.stringify(name)}`
    if (data !== undefined) return { name, datatype, shape, byteLength: data.byteLength, pieces: [data] }
    if (!allowed) throw invalid(`${label}: binary data needs the header Inference-Header-Content-Length`)
    const wanted = expectedBytes({ name, datatype, shape }, elementCount(shape))
    if (wanted !== undefined && wanted !== binaryBytes) {
      throw invalid(`${label}: binary_data_size does not match shape and datatype, which need ${wanted} bytes`)
    }
    if (binaryBytes > body.byteLength - at) throw invalid(`${label}: the body ends before its binary data`)
    const pieces = slicePieces(body.pieces, at, binaryBytes)
    at += binaryBytes
    return { name, datatype, shape, byteLength: binaryBytes, pieces }
  })
  if (at !== body.byteLength) throw invalid('the body goes on behind the binary data of the last input')
  return inputs
}

/**
 * The raw form of the binary extension: no JSON at all, the whole body is the only input, whose one dynamic dimension follows
 * from the size; every output is answered binary.
 */
function rawRequest(body: Body, signature: Signature): DecodedRequest {
  const [spec, ...others] = signature.inputs
  if (spec === undefined || others.length > 0) throw invalid('a raw binary request needs a model with one input')
  const dynamic = spec.shape.filter((dimension) => dimension === -1).length
  const fixed = elementCount(spec.shape.map((dimension) => (dimension === -1 ? 1 : dimension)))
  const unit = expectedBytes(spec, fixed)
  if (unit === undefined) throw new InferProblem('Unsupported', 'a raw binary request cannot carry BYTES')
  const size = unit === 0 ? 0 : body.byteLength / unit
  if (dynamic > 1 || !Number.isSafeInteger(size) || (dynamic === 0 && size !== 1)) {
    throw invalid("the raw binary body does not fit the shape of the model's input")
  }
  const shape = spec.shape.map((dimension) => (dimension === -1 ? size : dimension))
  const tensor = { name: spec.name, datatype: spec.datatype, shape, ...body }
  const forms = signature.outputs.map((output) => ({ name: output.name, binary: true }))
  return { id: undefined, request: { inputs: [tensor], outputs: forms.map((form) => form.name) }, forms }
}
