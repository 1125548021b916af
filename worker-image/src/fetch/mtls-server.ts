import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Identity } from '@hansa/operator/identity/identity.ts'
import { followIdentity, peerUri, serverTls } from '@hansa/operator/identity/tls.ts'
import { HansaError, messageOf } from '@hansa/operator/process/errors.ts'
import type { Logger } from '@hansa/operator/process/log.ts'

/** A refused call: `status` is the HTTP status. */
export class CallRefused extends HansaError {
  readonly status: number

  constructor(status: number, reason: string, message: string) {
    super(reason, message, { retry: 'never' })
    this.status = status
  }
}

export type MtlsHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  /** The caller's URI; undefined: refuse. */
  uri: string | undefined,
) => Promise<void>

export type MtlsServer = { url: string; stopping: AbortSignal; close(): Promise<void> }

/** An https server that only identities of this cluster reach; what a handler throws becomes an answer in JSON. */
export async function startMtlsServer(
  address: { host: string; port: number },
  deps: { identity: Identity; log: Logger; handle: MtlsHandler; stopping: AbortController },
): Promise<MtlsServer> {
  const { stopping, log } = deps
  const server = createServer(
    {
      ...serverTls(deps.identity),
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      maxHeaderSize: 8192,
      keepAliveTimeout: 30_000,
    },
    (request, response) => {
      response.on('error', () => undefined)
      const uri = request.socket instanceof TLSSocket ? peerUri(request.socket) : undefined
      deps.handle(request, response, uri).catch((error: unknown) => answerError(response, error, log))
    },
  )
  server.maxConnections = 1024
  // A worker that reads nothing for two minutes is gone.
  server.setTimeout(120_000, (socket) => socket.destroy())
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  const unfollow = followIdentity(server, deps.identity)
  server.listen(address.port, address.host)
  await once(server, 'listening')
  // listen with a port always gives an AddressInfo; the string form is for pipes.
  const { port } = server.address() as AddressInfo
  return {
    url: `https://${address.host.includes(':') ? `[${address.host}]` : address.host}:${port}`,
    stopping: stopping.signal,
    close: async () => {
      unfollow()
      const closed = once(server, 'close')
      server.close()
      server.closeIdleConnections()
      // Workers resume by range, so that a transfer under way need not be waited for.
      stopping.abort(new Error('the process is shutting down'))
      setTimeout(() => server.closeAllConnections(), 1000).unref()
      await closed
    },
  }
}

export function methodRefused(): CallRefused {
  return new CallRefused(405, 'MethodNotAllowed', 'this path has no such method')
}

export function json(response: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value)
  // A refused body is not read to its end, and what is left of it must not be taken for the next request.
  const close = status === 413 ? { connection: 'close' } : {}
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...close,
  })
  response.end(body)
}

function answerError(response: ServerResponse, error: unknown, log: Logger): void {
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  if (error instanceof CallRefused) {
    json(response, error.status, { error: { reason: error.reason, message: error.message } })
    return
  }
  log.error({ reason: 'Internal' }, messageOf(error))
  json(response, 500, { error: { reason: 'Internal', message: 'the process failed; see its log' } })
}
