import { type ContractCase, code, type GrpcCall, type GrpcCase, model, type RestCase } from './case.ts'

const at = `/v2/models/${model}`
const pairRest = {
  name: model,
  versions: ['1'],
  inputs: [
    { name: 'numbers', datatype: 'FP32', shape: [-1, 2] },
    { name: 'words', datatype: 'BYTES', shape: [-1] },
  ],
  outputs: [
    { name: 'sameWords', datatype: 'BYTES', shape: [-1] },
    { name: 'sameNumbers', datatype: 'FP32', shape: [-1, 2] },
  ],
}
const pairGrpc = {
  name: model,
  versions: ['1'],
  inputs: [
    { name: 'numbers', datatype: 'FP32', shape: ['-1', '2'] },
    { name: 'words', datatype: 'BYTES', shape: ['-1'] },
  ],
  outputs: [
    { name: 'sameWords', datatype: 'BYTES', shape: ['-1'] },
    { name: 'sameNumbers', datatype: 'FP32', shape: ['-1', '2'] },
  ],
}

/** Method, path, status, and what the answer holds. */
const restRows: readonly [string, string, number, object?][] = [
  ['GET', '/v2', 200, { name: /./, version: /./, extensions: ['binary_tensor_data'] }],
  ['GET', '/v2/health/live', 200, { live: true }],
  ['GET', '/v2/health/ready', 200, { live: true, ready: true }],
  ['GET', '/v2/models', 200, { models: [model] }],
  ['GET', at, 200, pairRest],
  ['GET', `${at}/versions/1`, 200, pairRest],
  ['GET', `${at}/ready`, 200, { name: model, ready: true }],
  ['GET', `${at}/versions/1/ready`, 200, { name: model, ready: true }],
  ['HEAD', '/v2', 200],
  ['HEAD', '/v2/health/live', 200],
  ['HEAD', '/v2/health/ready', 200],
  ['HEAD', at, 200],
  ['HEAD', `${at}/ready`, 200],
  ['GET', '/v2/models/another', 404],
  ['GET', '/v2/models/another/ready', 404],
  ['POST', '/v2/models/another/infer', 404],
  ['GET', `${at}/versions/2`, 404],
  ['GET', `${at}/versions/2/ready`, 404],
  ['POST', `${at}/versions/2/infer`, 404],
  ['GET', `${at}/versions`, 404],
  ['GET', '/v2/health', 404],
  ['GET', '/v2/nothing', 404],
  ['GET', `${at}/nothing`, 404],
  ['GET', `${at}/infer`, 405],
  ['GET', `${at}/versions/1/infer`, 405],
  ['POST', '/v2', 405],
  ['POST', '/v2/health/live', 405],
  ['POST', '/v2/health/ready', 405],
  ['POST', at, 405],
  ['POST', `${at}/ready`, 405],
  ['PUT', `${at}/infer`, 405],
  ['DELETE', at, 405],
  // Extensions that exist elsewhere and not here.
  ['GET', `${at}/config`, 501],
  ['GET', `${at}/stats`, 501],
  ['POST', `${at}/generate`, 501],
  ['POST', `${at}/generate_stream`, 501],
  ['POST', '/v2/repository/index', 501],
  ['POST', `/v2/repository/models/${model}/load`, 501],
  ['POST', `/v2/repository/models/${model}/unload`, 501],
  ['GET', '/v2/systemsharedmemory/status', 501],
  ['GET', '/v2/cudasharedmemory/status', 501],
  ['GET', '/v2/logging', 501],
]

/** Call, request, code, and what the answer holds. */
const grpcRows: readonly [GrpcCall, string, object, number, object?][] = [
  ['ServerLive', 'of the server', {}, code.ok, { live: true }],
  ['ServerReady', 'of the server', {}, code.ok, { ready: true }],
  ['ServerMetadata', 'of the server', {}, code.ok, { name: /./, version: /./ }],
  ['ModelReady', 'of the model', { name: model }, code.ok, { ready: true }],
  ['ModelReady', 'of a version', { name: model, version: '1' }, code.ok, { ready: true }],
  ['ModelReady', 'of another version', { name: model, version: '2' }, code.notFound],
  ['ModelMetadata', 'of the model', { name: model }, code.ok, pairGrpc],
  ['ModelMetadata', 'of a version', { name: model, version: '1' }, code.ok, pairGrpc],
  ['ModelMetadata', 'of another version', { name: model, version: '2' }, code.notFound],
  ['ModelStatistics', 'of the model', { name: model }, code.ok, { model_stats: [{ name: model, version: '1' }] }],
  ['ModelStatistics', 'of a version', { name: model, version: '1' }, code.ok, { model_stats: [{ name: model }] }],
  ['ModelStatistics', 'of all models', {}, code.ok, { model_stats: [{ name: model }] }],
  ['ModelStatistics', 'of another version', { name: model, version: '2' }, code.notFound],
  ['RepositoryIndex', 'of all models', {}, code.ok, { models: [{ name: model, version: '1', state: 'READY' }] }],
  ['RepositoryIndex', 'of ready models', { ready: true }, code.ok, { models: [{ name: model, state: 'READY' }] }],
  ['RepositoryModelLoad', 'in the form of Triton', { model_name: model }, code.unimplemented],
  ['RepositoryModelLoad', 'in the form of KServe', { repository_name: model }, code.unimplemented],
  ['RepositoryModelUnload', 'in the form of Triton', { model_name: model }, code.unimplemented],
  ['RepositoryModelUnload', 'in the form of KServe', { repository_name: model }, code.unimplemented],
]

/** Every call of both protocols but the inference itself. */
export const callCases: readonly ContractCase[] = [
  ...restRows.map(([method, path, status, json]): RestCase => {
    const isInfer = method === 'POST' && path.endsWith('/infer')
    return {
      id: `${method} ${path}`,
      protocol: 'REST',
      service: 'pair',
      method,
      path,
      ...(isInfer && { body: '{"inputs":[]}' }),
      expect: { status, ...(json !== undefined && { json }), ...(status === 405 && { headers: { allow: /[A-Z]/ } }) },
    }
  }),
  ...grpcRows.map(
    ([call, what, request, wanted, response]): GrpcCase => ({
      id: `${call} ${what}`,
      protocol: 'gRPC',
      service: 'pair',
      call,
      request,
      expect: { code: wanted, ...(response !== undefined && { response }) },
    }),
  ),
]
