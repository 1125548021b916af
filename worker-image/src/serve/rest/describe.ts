import packageJson from '../../../package.json' with { type: 'json' }
import type { BatchingState } from '../batch/decide-batching.ts'
import { InferProblem } from '../problem.ts'
import type { Worker } from '../worker.ts'
import type { Route } from './route.ts'

/** Bodies of the calls that only describe the worker; `ok: false` makes the status 503. */
export function describe(route: Exclude<Route, { kind: 'infer' }>, worker: Worker): { ok: boolean; body: object } {
  const { name, version } = worker.model
  switch (route.kind) {
    case 'server':
      return {
        ok: true,
        body: { name: 'hansa-worker', version: packageJson.version, extensions: ['binary_tensor_data'] },
      }
    case 'live':
      return { ok: true, body: { live: true } }
    case 'ready': {
      // The specification says `live` here, KServe `ready`; clients of both find theirs.
      const why = worker.notReady()
      const ready = why === undefined
      return { ok: ready, body: { live: ready, ready, ...(ready ? {} : { error: why }) } }
    }
    case 'models':
      return { ok: true, body: { models: [name] } }
    case 'modelReady': {
      const why = worker.notReady()
      const ready = why === undefined
      return { ok: ready, body: { name, ready, ...(ready ? {} : { error: why }) } }
    }
    case 'model': {
      const { loaded } = worker
      if (loaded === undefined) throw new InferProblem('NotReady', worker.notReady() ?? 'the model is not loaded')
      const { inputs, outputs } = loaded.signature
      return {
        ok: true,
        body: {
          name,
          versions: [version],
          platform: 'onnxruntime_onnx',
          inputs,
          outputs,
          parameters: { execution_provider: loaded.provider, ...batchingParameters(loaded.batching) },
        },
      }
    }
    default:
      return route satisfies never
  }
}

function batchingParameters(state: BatchingState | undefined): Record<string, string | number> {
  if (state === undefined) return {}
  return state.on
    ? { batching: 'on', max_batch_size: state.maxSize }
    : { batching: 'off', batching_reason: state.reason }
}
