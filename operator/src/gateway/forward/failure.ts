import type { AttemptResult } from '../route/worker.ts'

const connectCodes = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'UND_ERR_CONNECT_TIMEOUT'])

/** What an error says of the worker: `started` tells whether any byte of the request may have reached it. */
export function resultOfError(error: unknown, started: boolean): AttemptResult {
  if (!started) return 'unreachable'
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && connectCodes.has(code) ? 'unreachable' : 'broken'
}
