import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Authority } from '@hansa/operator/identity/authority.ts'
import { issueCredentials } from '@hansa/operator/identity/memory-identity.ts'

export type Hit = { path: string; headers: IncomingMessage['headers'] }
export type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** An https server of model files that records every request; TLS with a certificate of `authority` for its names. */
export type ModelSource = {
  port: number
  /** Folder URL under a name. */
  url(host?: string): string
  hits: Hit[]
  /** TCP connections, also those that never became a request. */
  connections(): number
  handlers: Map<string, Handler>
  /** Answers what no handler is for; 404 by default. */
  fallback: Handler
  close(): Promise<void>
}

export async function startModelSource(
  authority: Authority,
  names: readonly string[],
  address: { host?: string; port?: number } = {},
): Promise<ModelSource> {
  const { keyPem, certPem } = await issueCredentials(authority, 'spiffe://test.hansa/ns/outside/sa/source', {
    dnsNames: [...names],
  })
  const hits: Hit[] = []
  const handlers = new Map<string, Handler>()
  let connections = 0
  const server = createServer({ key: keyPem, cert: certPem }, (request, response) => {
    const path = request.url ?? ''
    hits.push({ path, headers: request.headers })
    const handler = handlers.get(path)
    if (handler !== undefined) handler(request, response)
    else source.fallback(request, response)
  })
  server.on('connection', () => {
    connections += 1
  })
  server.listen(address.port ?? 0, address.host ?? '127.0.0.1')
  await once(server, 'listening')
  // listen with a port always gives an AddressInfo.
  const { port } = server.address() as AddressInfo
  const source: ModelSource = {
    port,
    fallback: (_request, response) => response.writeHead(404).end(),
    url: (host = names[0] ?? 'localhost') => `https://${host}:${port}/`,
    hits,
    connections: () => connections,
    handlers,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
  return source
}

/** Answers with the bytes, or the rest of them when a range of the same version is asked for. */
export function sends(bytes: Uint8Array, etag = `"${sha256(bytes).slice(0, 16)}"`): Handler {
  return (request, response) => {
    const from = rangeStart(request, etag)
    const part = bytes.subarray(from)
    response.writeHead(from > 0 ? 206 : 200, {
      etag,
      'content-length': part.length,
      ...(from > 0 ? { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {}),
    })
    response.end(part)
  }
}

/** As `sends`, but cuts the connection after `after` bytes the first `times` times. */
export function cuts(bytes: Uint8Array, after: number, times: number): Handler {
  const etag = `"${sha256(bytes).slice(0, 16)}"`
  let left = times
  return (request, response) => {
    if (left === 0) return sends(bytes, etag)(request, response)
    left -= 1
    const from = rangeStart(request, etag)
    response.writeHead(from > 0 ? 206 : 200, {
      etag,
      'content-length': bytes.length - from,
      ...(from > 0 ? { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {}),
    })
    response.write(bytes.subarray(from, from + after), () => setTimeout(() => response.destroy(), 20))
  }
}

export function redirects(location: string, status = 302): Handler {
  return (_request, response) => response.writeHead(status, { location }).end()
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function rangeStart(request: IncomingMessage, etag: string): number {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
  const same = request.headers['if-range'] === undefined || request.headers['if-range'] === etag
  return same ? start : 0
}
