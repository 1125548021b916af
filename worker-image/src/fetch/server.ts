import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Identity } from '@hansa/operator/identity/identity.ts'
import { readBody } from '@hansa/operator/identity/read-body.ts'
import { parseSpiffe } from '@hansa/operator/identity/spiffe.ts'
import { followIdentity, peerUri, serverTls } from '@hansa/operator/identity/tls.ts'
import { messageOf } from '@hansa/operator/process/errors.ts'
import type { Logger } from '@hansa/operator/process/log.ts'
import type { BlobStore } from './blob-store.ts'
import type { Fetcher } from './fetcher.ts'
import type { FetchMetrics } from './metrics.ts'
import { CallRefused, type ModelsApi } from './models-api.ts'
import type { Registry } from './registry.ts'
import { serveBlob } from './serve-blob.ts'

export type ServerDeps = {
  identity: Identity
  /** Identity of the operator; workers are recognised by the trust domain of `identity`. */
  operatorUri: string
  models: ModelsApi
  registry: Registry
  blobs: BlobStore
  fetcher: Fetcher
  metrics: FetchMetrics
  log: Logger
}

type Caller = { operator: true } | { operator: false; namespace: string }

const longestBody = 1024 * 1024
const bodyMilliseconds = 10_000

/** Serves the interface of docs/architecture.md ("Models") over mutual TLS. */
export async function startServer(
  address: { host: string; port: number },
  deps: ServerDeps,
): Promise<{ url: string; close(): Promise<void> }> {
  const stopping = new AbortController()
  const trustDomain = parseSpiffe(deps.identity.uri)?.trustDomain
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
      handle(request, response).catch((error: unknown) => answerError(response, error, deps.log))
    },
  )
  server.maxConnections = 1024
  // A worker that reads nothing for two minutes is gone.
  server.setTimeout(120_000, (socket) => socket.destroy())
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  const unfollow = followIdentity(server, deps.identity)
  server.listen(address.port, address.host)
  await once(server, 'listening')

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const caller = callerOf(request)
    const path = request.url ?? ''
    const blob = /^\/v1\/blobs\/sha256:([0-9a-f]{64})$/.exec(path)
    if (blob !== null) {
      if (request.method !== 'GET' && request.method !== 'HEAD') throw methodRefused()
      return sendBlob(request, response, caller, blob[1] ?? '')
    }
    if (!caller.operator) throw new CallRefused(403, 'Forbidden', 'only the operator may make this call')
    if (path === '/v1/models') {
      if (request.method !== 'GET') throw methodRefused()
      return json(response, 200, { items: deps.models.list() })
    }
    const uid = /^\/v1\/models\/([A-Za-z0-9-]{1,64})$/.exec(path)?.[1]
    if (uid === undefined) throw new CallRefused(404, 'NotFound', 'no such path')
    switch (request.method) {
      case 'GET':
        return json(response, 200, deps.models.get(uid))
      case 'PUT':
        return json(response, 202, await deps.models.put(uid, await jsonBody(request)))
      case 'DELETE':
        await deps.models.delete(uid)
        response.writeHead(204).end()
        return
      default:
        throw methodRefused()
    }
  }

  function callerOf(request: IncomingMessage): Caller {
    const uri = request.socket instanceof TLSSocket ? peerUri(request.socket) : undefined
    if (uri === deps.operatorUri) return { operator: true }
    const parts = uri === undefined ? undefined : parseSpiffe(uri)
    if (parts?.trustDomain === trustDomain && parts?.serviceAccount.endsWith('-worker')) {
      return { operator: false, namespace: parts.namespace }
    }
    throw new CallRefused(403, 'Forbidden', 'this identity may make no call')
  }

  async function sendBlob(
    request: IncomingMessage,
    response: ServerResponse,
    caller: Caller,
    sha256: string,
  ): Promise<void> {
    // The same answer for what is not there and for what is another namespace's: a digest must not be a question.
    const granted = caller.operator || deps.registry.grants(caller.namespace, sha256)
    if (!granted || !deps.blobs.has(sha256))
      throw new CallRefused(404, 'BlobNotFound', 'no verified model names this blob')
    const corrupted = () => deps.fetcher.corrupted(sha256)
    if (!(await deps.blobs.intact(sha256, stopping.signal))) {
      await corrupted()
      throw new CallRefused(404, 'BlobNotFound', 'the stored copy was damaged; it is fetched again')
    }
    const served = (bytes: number) => deps.metrics.served.inc(bytes)
    await serveBlob(request, response, sha256, { blobs: deps.blobs, signal: stopping.signal, served, corrupted })
  }

  // listen with a port always gives an AddressInfo; the string form is for pipes.
  const { port } = server.address() as AddressInfo
  return {
    url: `https://${address.host.includes(':') ? `[${address.host}]` : address.host}:${port}`,
    close: async () => {
      unfollow()
      const closed = once(server, 'close')
      server.close()
      server.closeIdleConnections()
      // Workers resume by range, so that a transfer under way need not be waited for.
      stopping.abort(new Error('fetch is shutting down'))
      setTimeout(() => server.closeAllConnections(), 1000).unref()
      await closed
    },
  }
}

async function jsonBody(request: IncomingMessage): Promise<unknown> {
  const timer = setTimeout(() => request.destroy(), bodyMilliseconds)
  try {
    const text = await readBody(request, longestBody)
    if (text === undefined) throw new CallRefused(413, 'TooLarge', `the body is larger than ${longestBody} bytes`)
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) throw new CallRefused(400, 'Invalid', 'the body is no JSON')
    throw error
  } finally {
    clearTimeout(timer)
  }
}

function methodRefused(): CallRefused {
  return new CallRefused(405, 'MethodNotAllowed', 'this path has no such method')
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
  json(response, 500, { error: { reason: 'Internal', message: 'the fetch worker failed; see its log' } })
}

function json(response: ServerResponse, status: number, value: unknown): void {
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
