import type { IncomingMessage } from 'node:http'

export type RequestHead = {
  /** Name and value pairs to send on, from the allow list. */
  forwarded: string[]
  authorization: string | undefined
  contentLength: number | undefined
  chunked: boolean
  expectsContinue: boolean
  requestId: string | undefined
  traceparent: string | undefined
  tracestate: string | undefined
  timeoutMs: number | undefined
}

export type HeadResult = { head: RequestHead } | { status: 400 | 405 | 431 | 501 | 505; error: string }

const maxHeaders = 64
const maxTimeoutMs = 3_600_000

/** What becomes of a header of a user: anything not named here is dropped. */
const uses = new Map<string, 'forward' | 'single' | 'read'>([
  ['accept', 'forward'],
  ['accept-encoding', 'forward'],
  ['accept-language', 'forward'],
  ['user-agent', 'forward'],
  ['content-type', 'single'],
  ['content-encoding', 'single'],
  ['inference-header-content-length', 'single'],
  ['host', 'read'],
  ['authorization', 'read'],
  ['content-length', 'read'],
  ['transfer-encoding', 'read'],
  ['expect', 'read'],
  ['x-request-id', 'read'],
  ['x-request-timeout-ms', 'read'],
  ['traceparent', 'read'],
  ['tracestate', 'read'],
])

/**
 * Reads a request's head once, from the raw list that keeps duplicates apart, and builds the headers for the worker anew, so that
 * hop-by-hop, forwarding, cookie, `authorization` and `x-hansa-*` headers cannot reach it (RFC 9110 section 7.6.1).
 */
export function readHead(request: IncomingMessage): HeadResult {
  if (request.httpVersion !== '1.1') return { status: 505, error: 'speak HTTP/1.1' }
  const { method, rawHeaders } = request
  if (method !== 'GET' && method !== 'POST' && method !== 'HEAD') {
    return { status: 405, error: 'only GET, HEAD and POST are allowed' }
  }
  if (rawHeaders.length > 2 * maxHeaders) return { status: 431, error: `more than ${maxHeaders} headers` }
  const forwarded: string[] = []
  const read = new Map<string, string>()
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase()
    const use = uses.get(name)
    if (use === undefined) continue
    const value = rawHeaders[i + 1] ?? ''
    if (use !== 'forward') {
      if (read.has(name)) return { status: 400, error: `duplicate header ${name}` }
      read.set(name, value)
    }
    if (use !== 'read') forwarded.push(name, value)
  }
  if (!read.has('host')) return { status: 400, error: 'header host is missing' }
  const length = read.get('content-length')
  const coding = read.get('transfer-encoding')
  if (length !== undefined && coding !== undefined) {
    return { status: 400, error: 'content-length and transfer-encoding exclude each other' }
  }
  if (length !== undefined && !/^\d{1,15}$/.test(length))
    return { status: 400, error: 'content-length is not a number' }
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
    return { status: 501, error: 'the only transfer-encoding is chunked' }
  }
  const contentLength = length === undefined ? undefined : Number(length)
  if (method !== 'POST' && (coding !== undefined || (contentLength ?? 0) > 0)) {
    return { status: 400, error: `${method} takes no body` }
  }
  const expect = read.get('expect')
  if (expect !== undefined && expect.toLowerCase() !== '100-continue') {
    return { status: 400, error: 'the only expectation is 100-continue' }
  }
  const timeout = read.get('x-request-timeout-ms')
  if (
    timeout !== undefined &&
    !(/^\d{1,7}$/.test(timeout) && Number(timeout) >= 1 && Number(timeout) <= maxTimeoutMs)
  ) {
    return { status: 400, error: `x-request-timeout-ms must be a number from 1 to ${maxTimeoutMs}` }
  }
  return {
    head: {
      forwarded,
      authorization: read.get('authorization'),
      contentLength,
      chunked: coding !== undefined,
      expectsContinue: expect !== undefined && (coding !== undefined || (contentLength ?? 0) > 0),
      requestId: read.get('x-request-id'),
      traceparent: read.get('traceparent'),
      tracestate: read.get('tracestate'),
      timeoutMs: timeout === undefined ? undefined : Number(timeout),
    },
  }
}
