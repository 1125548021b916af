import type { IncomingHttpHeaders } from 'undici/types/header.js'

const passed = [
  'content-type',
  'content-encoding',
  'inference-header-content-length',
  'retry-after',
  'cache-control',
  'allow',
  'vary',
] as const

export type ResponseHead = { headers: string[]; contentLength: number | undefined } | undefined

/** Headers of a worker's answer that users may see, as a flat list; undefined when the answer contradicts itself. */
export function responseHead(headers: IncomingHttpHeaders, requestId: string): ResponseHead {
  const kept = ['x-request-id', requestId]
  for (const name of passed) {
    const value = headers[name]
    if (value === undefined) continue
    if (typeof value !== 'string') return undefined
    kept.push(name, value)
  }
  const length = headers['content-length']
  if (length === undefined) return { headers: kept, contentLength: undefined }
  if (typeof length !== 'string' || !/^\d{1,15}$/.test(length)) return undefined
  kept.push('content-length', length)
  return { headers: kept, contentLength: Number(length) }
}
