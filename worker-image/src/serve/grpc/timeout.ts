import type { IncomingHttpHeaders } from 'node:http2'
import { invalid } from '../problem.ts'

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }

/** Milliseconds that a call may take by its metadata: the lesser of `grpc-timeout` and `x-hansa-timeout-ms`; infinite without. */
export function timeoutOf(headers: IncomingHttpHeaders): number {
  return Math.min(grpcTimeout(headers['grpc-timeout']), ourTimeout(headers['x-hansa-timeout-ms']))
}

function grpcTimeout(header: string | string[] | undefined): number {
  if (header === undefined) return Number.POSITIVE_INFINITY
  const [, digits, unit] = (typeof header === 'string' ? /^(\d{1,8})([HMSmun])$/.exec(header) : undefined) ?? []
  const factor = unitMs[unit ?? '']
  if (digits === undefined || factor === undefined) throw invalid('grpc-timeout must be up to eight digits and a unit')
  return Number(digits) * factor
}

function ourTimeout(header: string | string[] | undefined): number {
  if (header === undefined) return Number.POSITIVE_INFINITY
  if (typeof header !== 'string' || !/^\d{1,10}$/.test(header)) {
    throw invalid('x-hansa-timeout-ms must be a whole number of milliseconds')
  }
  return Number(header)
}
