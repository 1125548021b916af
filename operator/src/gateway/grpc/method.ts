/**
 * What becomes of a method: `own` is answered by the gateway, `refused` says why not, the rest goes to a worker: `named` has the
 * model's name in field 1 of its message, `unnamed` has none, `stream` is a stream of messages of the kind `named`.
 */
export type MethodUse = 'own' | 'refused' | 'named' | 'unnamed' | 'stream'

export type Method = { name: string; path: string; use: MethodUse }

export const grpcService = 'inference.GRPCInferenceService'

const uses: Record<string, MethodUse> = {
  ServerLive: 'own',
  ServerReady: 'own',
  ServerMetadata: 'own',
  ModelReady: 'named',
  ModelMetadata: 'named',
  ModelInfer: 'named',
  ModelStatistics: 'named',
  ModelStreamInfer: 'stream',
  RepositoryIndex: 'unnamed',
  RepositoryModelLoad: 'refused',
  RepositoryModelUnload: 'refused',
}

const methods = new Map<string, Method>(
  Object.entries(uses).map(([name, use]) => {
    const path = `/${grpcService}/${name}`
    return [path, { name, path, use }]
  }),
)

/** The method of a request path; undefined for anything that is not in `operator/proto/open-inference.proto`. */
export function methodOf(path: string): Method | undefined {
  return methods.get(path)
}
