import { InferProblem, invalid } from '../problem.ts'
import { tooLarge } from '../rest/encode-data.ts'
import { deadlinePassed } from '../scheduler.ts'
import { checkInputs, checkOutputs, expectedBytes } from '../signature.ts'
import { elementCount, type InferRequest, type Signature, type Tensor } from '../tensor.ts'
import type { Worker } from '../worker.ts'
import { contentsFields } from './contents-field.ts'
import { decodeInfer, type InferMessage } from './decode-infer.ts'
import { inSlices } from './in-slices.ts'
import { readContents } from './read-contents.ts'
import { WireWriter } from './wire-writer.ts'
import { writeContents } from './write-contents.ts'

export type InferCall = {
  readonly deadlineAt: number
  readonly signal: AbortSignal
  readonly traceparent: string | undefined
  /** Counts bytes that the request takes beside its message. Throws InferProblem (QueueFull) when there is no room. */
  reserve(bytes: number): void
  /** Gets the id of the request, also of one that fails later. */
  readonly seen: { id: string }
}

/** Runs one ModelInferRequest and returns its ModelInferResponse. Rejects with InferProblem or the signal's reason. */
export async function inferMessage(bytes: Buffer, worker: Worker, call: InferCall): Promise<WireWriter> {
  const message = decodeInfer(bytes, call.seen)
  checkModel(message.modelName, message.modelVersion, worker.model)
  const { loaded } = worker
  const why = worker.unavailable()
  if (loaded === undefined || why !== undefined) throw new InferProblem('NotReady', why ?? 'the model is not loaded')
  const request = await inferRequest(message, loaded.signature, worker.limits.requestBytes, call)
  if (performance.now() >= call.deadlineAt) throw deadlinePassed()
  const { outputs } = await worker.scheduler.submit({
    request,
    deadlineAt: call.deadlineAt,
    signal: call.signal,
    traceparent: call.traceparent,
  })
  return await inferResponse(message, outputs, worker, call.signal)
}

/** An empty version means any. Throws InferProblem (NotFound). */
export function checkModel(name: string, version: string, model: Worker['model']): void {
  if (name !== model.name) throw new InferProblem('NotFound', 'there is no such model here')
  if (version !== '' && version !== model.version) {
    throw new InferProblem('NotFound', 'there is no such version of the model')
  }
}

/** The request that a message holds, checked against the model as a REST request is. */
export async function inferRequest(
  message: InferMessage,
  signature: Signature,
  maxElements: number,
  call: Pick<InferCall, 'signal' | 'reserve'>,
): Promise<InferRequest> {
  const { raw } = message
  const specs = checkInputs(message.inputs, signature, maxElements)
  const outputs = checkOutputs(message.outputs, signature)
  if (raw.length > 0) {
    if (message.inputs.some((input) => input.contents.some(({ from, end }) => end > from))) {
      throw invalid('the request has both raw_input_contents and contents')
    }
    if (raw.length !== specs.length) throw invalid('raw_input_contents must have one entry for each input')
  }
  const inputs: Tensor[] = []
  for (const [index, spec] of specs.entries()) {
    const { name, datatype, shape } = spec
    const label = `input ${JSON.stringify(name)}`
    const elements = elementCount(shape)
    const given = raw[index]
    if (given !== undefined) {
      const wanted = expectedBytes(spec, elements)
      if (wanted !== undefined && wanted !== given.byteLength) {
        throw invalid(`${label}: raw contents do not match shape and datatype, which need ${wanted} bytes`)
      }
      inputs.push({ name, datatype, shape, byteLength: given.byteLength, pieces: [given] })
      continue
    }
    const contents = message.inputs[index]?.contents ?? []
    if (datatype === 'FP16') {
      throw invalid(`${label}: FP16 has no typed contents in gRPC: send it in raw_input_contents`)
    }
    if (contents.length === 0 && elements > 0) throw invalid(`${label} has neither contents nor raw_input_contents`)
    const source = { message: message.bytes, contents, label, datatype, elements }
    const data = await inSlices(readContents(source, call.reserve), call.signal)
    inputs.push({ name, datatype, shape, byteLength: data.byteLength, pieces: [data] })
  }
  return { inputs, outputs }
}

/**
 * Raw contents answer raw contents. So do they answer typed ones when an output is FP16, which has no typed field: the protocol
 * knows no mixture.
 */
async function inferResponse(
  message: InferMessage,
  outputs: readonly Tensor[],
  worker: Worker,
  signal: AbortSignal,
): Promise<WireWriter> {
  const maxBytes = worker.limits.responseBytes
  const isRaw = message.raw.length > 0 || outputs.some((tensor) => contentsFields[tensor.datatype] === undefined)
  const response = new WireWriter()
  response.text(1, worker.model.name).text(2, worker.model.version).text(3, message.id)
  for (const tensor of outputs) {
    const { name, datatype, shape } = tensor
    const output = new WireWriter().text(1, name).text(2, datatype).shape(3, shape)
    if (!isRaw) {
      output.message(
        5,
        await inSlices(
          writeContents(tensor, maxBytes, () => tooLarge(maxBytes)),
          signal,
        ),
      )
    }
    response.message(5, output)
  }
  if (isRaw) for (const { pieces, byteLength } of outputs) response.delimited(6, pieces, byteLength)
  if (response.byteLength > maxBytes) throw tooLarge(maxBytes)
  return response
}
