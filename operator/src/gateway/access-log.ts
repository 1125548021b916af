import type { Logger } from '../process/log.ts'
import { callerName } from './auth/principal.ts'
import type { Finished } from './handle-request.ts'

/**
 * One line a request, with fixed fields: never a payload, a token or a query. `sample` is the share of the successful requests
 * that are logged; refusals and failures by the gateway or a worker always are.
 */
export function createAccessLog(deps: { log: Logger; sample: number; random: () => number }) {
  const { log, sample, random } = deps
  return ({ requestId, method, target, trace, principal, result }: Finished, durationMs: number): void => {
    if (result.status < 400 && sample < 1 && random() >= sample) return
    log.info(
      {
        requestId,
        traceId: trace?.traceId,
        method,
        namespace: target?.namespace,
        name: target?.service,
        path: target?.path,
        status: result.status,
        durationMs: Math.round(durationMs * 1000) / 1000,
        requestBytes: result.requestBytes,
        responseBytes: result.responseBytes,
        caller: principal === undefined ? undefined : callerName(principal),
        worker: result.worker,
        attempts: result.attempts,
        failure: result.failure,
      },
      'request',
    )
  }
}
