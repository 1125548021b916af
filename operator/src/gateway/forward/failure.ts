import type { IncomingHttpHeaders } from 'undici/types/header.js'
import { ownName } from '../../api/placement.ts'
import type { AttemptResult } from '../route/upstream.ts'
import { refusedHeader } from '../work/headers.ts'
import { NotTakenError, PeerLostError } from '../work/lost.ts'

const connectCodes = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'UND_ERR_CONNECT_TIMEOUT'])

/** What an error says of the worker: `started` tells whether any byte of the request may have reached it. */
export function resultOfError(error: unknown, started: boolean): AttemptResult {
  if (!started || error instanceof PeerLostError || error instanceof NotTakenError) return 'unreachable'
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && connectCodes.has(code) ? 'unreachable' : 'broken'
}

/** What the head of an answer says of the worker. */
export function resultOfAnswer(status: number, headers: IncomingHttpHeaders, owner: string): AttemptResult {
  // Workers of ours have no say in this: they are asked by nobody but us.
  if (owner !== ownName && headers[refusedHeader] !== undefined && status !== 429) return 'refused'
  if (status === 503 && `${headers.connection}`.toLowerCase() === 'close') return 'draining'
  return status >= 500 && status !== 504 ? 'serverError' : 'answered'
}

/** Whether a request may be sent once more although bytes of it were sent. */
export function mayRepeat(
  error: unknown,
  { started, method }: { started: boolean; method: string | undefined },
): boolean {
  // A request whose bytes may have reached a worker is not sent again unless its method says that it is safe (RFC 9110
  // section 9.2.2): the worker may have done the work already.
  if (!started || method !== 'POST') return true
  // That an owner goes away is to be expected, and an inference changes nothing: ADR 0026.
  return error instanceof PeerLostError
}
