import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Authority } from '@hansa/operator/identity/authority.ts'
import { memoryIdentity } from '@hansa/operator/identity/memory-identity.ts'
import { peerUri, serverTls } from '@hansa/operator/identity/tls.ts'

export type TestWorker = {
  address: string
  port: number
  /** What arrived, in order. */
  requests: {
    method: string
    url: string
    headers: NodeJS.Dict<string | string[]>
    rawHeaders: string[]
    peer: string | undefined
  }[]
  /** Replaces what the worker does with a request. */
  handle: (request: IncomingMessage, response: ServerResponse) => void
  /** Closes the listener and all connections, as a killed worker would. */
  kill(): Promise<void>
}

/** Echoes the body. */
export function echo(request: IncomingMessage, response: ServerResponse): void {
  const length = request.headers['content-length']
  response.writeHead(200, {
    'content-type': request.headers['content-type'] ?? 'application/json',
    ...(length === undefined ? {} : { 'content-length': length }),
  })
  request.pipe(response)
}

/** A worker as the gateway sees one: an mTLS server with a worker's identity; its handler is a test's to choose. */
export async function startTestWorker(options: {
  authority: Authority
  uri: string
  address: string
  port: number
}): Promise<TestWorker> {
  const identity = await memoryIdentity(options.authority, options.uri)
  const server = createServer({ ...serverTls(identity), keepAliveTimeout: 60_000 }, (request, response) => {
    const { method = '', url = '', headers, rawHeaders } = request
    // The server speaks TLS only.
    const peer = peerUri(request.socket as TLSSocket)
    worker.requests.push({ method, url, headers, rawHeaders, peer })
    worker.handle(request, response)
  })
  server.on('tlsClientError', () => undefined)
  server.listen(options.port, options.address)
  await once(server, 'listening')
  const worker: TestWorker = {
    address: options.address,
    // A TCP listener has an AddressInfo.
    port: (server.address() as AddressInfo).port,
    requests: [],
    handle: echo,
    kill: async () => {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
  return worker
}
