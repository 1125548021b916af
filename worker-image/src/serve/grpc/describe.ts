import { InferProblem } from '../problem.ts'
import { describe as describeRest } from '../rest/describe.ts'
import type { TensorSpec } from '../tensor.ts'
import type { Worker } from '../worker.ts'
import { checkModel } from './infer-message.ts'
import { statisticsOf } from './statistics.ts'
import { GrpcProblem, grpcStatus } from './status.ts'
import type { WireReader } from './wire-reader.ts'
import { WireWriter } from './wire-writer.ts'

type Describe = (request: WireReader, worker: Worker) => WireWriter | Promise<WireWriter>

const notLoadedByCalls =
  'models are not loaded or unloaded by calls here: apply or delete an InferenceService, whose Model is an object of the cluster'

/** The calls that only tell of the worker, by their name in GRPCInferenceService. */
export const describers: Readonly<Record<string, Describe>> = {
  ServerLive: () => new WireWriter().flag(1, true),
  ServerReady: (_request, worker) => new WireWriter().flag(1, worker.notReady() === undefined),
  ModelReady: (request, worker) => {
    checkNamed(request, worker)
    return new WireWriter().flag(1, worker.notReady() === undefined)
  },
  ServerMetadata: (_request, worker) => {
    // What REST says of the server holds here too; statistics are offered over gRPC alone.
    const { name, version, extensions } = describeRest({ kind: 'server' }, worker).body as ServerBody
    const response = new WireWriter().text(1, name).text(2, version)
    for (const extension of [...extensions, 'statistics']) response.text(3, extension)
    return response
  },
  ModelMetadata: (request, worker) => {
    checkNamed(request, worker)
    const { loaded, model } = worker
    if (loaded === undefined) throw new InferProblem('NotReady', worker.notReady() ?? 'the model is not loaded')
    const response = new WireWriter().text(1, model.name).text(2, model.version).text(3, 'onnxruntime_onnx')
    for (const spec of loaded.signature.inputs) response.message(4, tensor(spec))
    for (const spec of loaded.signature.outputs) response.message(5, tensor(spec))
    const { parameters } = describeRest({ kind: 'model' }, worker).body as ModelBody
    for (const [name, value] of Object.entries(parameters)) {
      response.message(6, new WireWriter().text(1, name).text(2, String(value)))
    }
    return response
  },
  ModelStatistics: async (request, worker) => {
    const { name, version } = named(request)
    // Without a name it is asked for all models, of which there is one.
    if (name !== '') checkModel(name, version, worker.model)
    return new WireWriter().message(1, await statisticsOf(worker))
  },
  RepositoryIndex: (request, worker) => {
    let readyOnly = false
    while (request.next()) {
      if (request.field === 2) readyOnly = request.flag()
      else request.skip()
    }
    const why = worker.notReady()
    const response = new WireWriter()
    if (readyOnly && why !== undefined) return response
    const index = new WireWriter().text(1, worker.model.name).text(2, worker.model.version)
    return response.message(1, index.text(3, why === undefined ? 'READY' : 'UNAVAILABLE').text(4, why ?? ''))
  },
  RepositoryModelLoad: unimplemented,
  RepositoryModelUnload: unimplemented,
}

/** The body of `GET /v2`. */
type ServerBody = { name: string; version: string; extensions: string[] }
/** What the body of `GET /v2/models/NAME` has for properties. */
type ModelBody = { parameters: Record<string, string | number> }

function unimplemented(): never {
  throw new GrpcProblem(grpcStatus.unimplemented, notLoadedByCalls)
}

function checkNamed(request: WireReader, worker: Worker): void {
  const { name, version } = named(request)
  checkModel(name, version, worker.model)
}

function named(request: WireReader): { name: string; version: string } {
  let name = ''
  let version = ''
  while (request.next()) {
    if (request.field === 1) name = request.text(1024, 'name')
    else if (request.field === 2) version = request.text(1024, 'version')
    else request.skip()
  }
  return { name, version }
}

function tensor(spec: TensorSpec): WireWriter {
  return new WireWriter().text(1, spec.name).text(2, spec.datatype).shape(3, spec.shape)
}
