import { pino } from 'pino'
import type { Logger } from '../process/log.ts'
import { callerName } from './auth/principal.ts'
import { codeName } from './grpc/code.ts'
import type { Finished } from './handle-request.ts'

/**
 * A logger for the line a request, written in batches at most half a second late: one write to stdout for each request would cost
 * as much as the rest of the logging. Lines are flushed at exit; a killed process loses those of its last half second. Nothing is
 * redacted here, because the fields are fixed below.
 */
export function createAccessLogger(log: Logger): Logger {
  return pino(
    {
      level: log.level,
      base: { process: 'gateway' },
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 1, sync: false, minLength: 8192, periodicFlush: 500 }),
  )
}

/**
 * One line a request, with fixed fields: never a payload, a token or a query. `sample` is the share of the successful requests
 * that are logged; refusals and failures by the gateway or a worker always are.
 */
export function createAccessLog(deps: { log: Logger; sample: number; random: () => number }) {
  const { log, sample, random } = deps
  return ({ requestId, method, target, trace, principal, result, grpc }: Finished, durationMs: number): void => {
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
        owner: result.owner,
        attempts: result.attempts,
        heldMs: result.heldMs === undefined ? undefined : Math.round(result.heldMs),
        failure: result.failure,
        grpcStatus: grpc === undefined ? undefined : codeName(grpc.code),
      },
      'request',
    )
  }
}
