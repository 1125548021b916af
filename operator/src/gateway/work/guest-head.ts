import type { IncomingHttpHeaders } from 'node:http2'
import { dataClasses } from '../../api/owner-scalars.ts'
import type { RequestHead } from '../http/request-head.ts'
import {
  dataClassHeader,
  epochHeader,
  parseReceiptRequest,
  purposeHeader,
  type ReceiptRequest,
  receiptHeader,
} from './headers.ts'

/** The head of a request as a peer's gateway sends it. */
export type GuestHead = {
  method: 'GET' | 'HEAD' | 'POST'
  requestId: string
  workerPath: string
  epoch: number
  dataClass: string
  purpose: string
  receipt: ReceiptRequest
  head: RequestHead
}

const pathPattern = /^\/v1\/work\/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(\/v[12](?:[/?].*)?)$/
const forwarded = [
  'accept',
  'accept-encoding',
  'accept-language',
  'user-agent',
  'content-type',
  'content-encoding',
  'inference-header-content-length',
] as const
const maxTimeoutMs = 3_600_000

/** Reads the head of a request of a peer; a text says what is wrong with it. Whatever is not named here is dropped. */
export function readGuestHead(headers: IncomingHttpHeaders): GuestHead | string {
  const method = headers[':method']
  if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') return 'only GET, HEAD and POST are allowed'
  const [, requestId, workerPath] = pathPattern.exec(headers[':path'] ?? '') ?? []
  if (requestId === undefined || workerPath === undefined) return 'the path must be /v1/work/{requestId}/v2/...'
  const epoch = numberOf(headers[epochHeader], Number.MAX_SAFE_INTEGER)
  const timeoutMs = numberOf(headers['x-hansa-timeout-ms'], maxTimeoutMs)
  const receipt = parseReceiptRequest(headers[receiptHeader])
  const dataClass = textOf(headers[dataClassHeader])
  const purpose = textOf(headers[purposeHeader])
  if (epoch === undefined) return `the header ${epochHeader} must be a number`
  if (timeoutMs === undefined || timeoutMs < 1) return 'the header x-hansa-timeout-ms must be a number'
  if (receipt === undefined) return `the header ${receiptHeader} must be <id>.<salt>.<commitment>`
  if (dataClass === undefined || !(dataClasses as readonly string[]).includes(dataClass)) {
    return `the header ${dataClassHeader} must be a data class`
  }
  if (purpose === undefined) return `the header ${purposeHeader} is missing`
  const contentLength = numberOf(headers['content-length'], Number.MAX_SAFE_INTEGER)
  if (headers['content-length'] !== undefined && contentLength === undefined) return 'content-length is not a number'
  if (method !== 'POST' && (contentLength ?? 0) > 0) return `${method} takes no body`
  const head: RequestHead = {
    forwarded: forwarded.flatMap((name) => {
      const value = textOf(headers[name])
      return value === undefined ? [] : [name, value]
    }),
    authorization: undefined,
    contentLength,
    chunked: method === 'POST' && contentLength === undefined,
    expectsContinue: false,
    requestId: textOf(headers['x-request-id']),
    traceparent: textOf(headers.traceparent),
    tracestate: textOf(headers.tracestate),
    timeoutMs,
  }
  return { method, requestId, workerPath, epoch, dataClass, purpose, receipt, head }
}

/** Node joins what came several times with commas, or gives a list. */
function textOf(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' && value.length <= 4096 ? value : undefined
}

function numberOf(value: string | string[] | undefined, most: number): number | undefined {
  if (typeof value !== 'string' || !/^\d{1,16}$/.test(value)) return undefined
  const number = Number(value)
  return number <= most ? number : undefined
}
